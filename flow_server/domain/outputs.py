"""Which of the files that an agent offers are taken. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flow_contract.outputs import PART_BYTES, OutputAnswer, OutputFile, OutputState


@dataclass(frozen=True, kw_only=True)
class OutputCaps:
    """The most that is taken: of one file, and of all files of a party run."""

    file_bytes: int
    run_bytes: int
    run_files: int


@dataclass(frozen=True, kw_only=True)
class KnownOutput:
    """A file that is there, or coming: then `stored_parts` of it are."""

    upload_id: str
    bytes: int
    blob: str
    stored_parts: int | None = None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a party run has, what is coming included."""

    files: int
    bytes: int


def judge(
    offered: Sequence[OutputFile],
    *,
    there: Mapping[str, KnownOutput],
    coming: Mapping[str, KnownOutput],
    totals: Totals,
    caps: OutputCaps,
) -> list[OutputAnswer]:
    """Return the answer to each, in order. `there` and `coming` are by name, these names at least.

    A file that takes the place of another counts for both until it is there.
    """
    files, size_bytes = totals.files, totals.bytes
    answers = []
    for file in offered:
        known, begun = there.get(file.name), coming.get(file.name)
        if known is not None and _is_same(known, file):
            answers.append(OutputAnswer(state=OutputState.STORED, stored_bytes=file.bytes))
            continue
        if begun is not None:
            files, size_bytes = files - 1, size_bytes - begun.bytes
        why = _refusal(file, files=files + 1, size_bytes=size_bytes + file.bytes, caps=caps)
        if why:
            answers.append(OutputAnswer(state=OutputState.REFUSED, why=why))
            continue
        files, size_bytes = files + 1, size_bytes + file.bytes
        parts = begun.stored_parts if begun is not None and _is_same(begun, file) else 0
        stored_bytes = min((parts or 0) * PART_BYTES, file.bytes)
        answers.append(OutputAnswer(state=OutputState.OPEN, stored_bytes=stored_bytes))
    return answers


def _is_same(known: KnownOutput, file: OutputFile) -> bool:
    return (known.upload_id, known.bytes) == (file.upload_id, file.bytes)


def _refusal(file: OutputFile, *, files: int, size_bytes: int, caps: OutputCaps) -> str:
    if file.bytes > caps.file_bytes:
        return f"{file.bytes} bytes are more than the {caps.file_bytes} that the server takes"
    if files > caps.run_files:
        return f"the server takes {caps.run_files} files of one party's run at most"
    if size_bytes > caps.run_bytes:
        return f"the server takes {caps.run_bytes} bytes of one party's run at most"
    return ""
