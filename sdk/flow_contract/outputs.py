"""Files that workloads leave or send: their names, how they go up, and what is known of them."""

import enum
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from flow_contract import checks
from flow_contract.errors import InvalidArgument

MAX_NAME_BYTES = 4096
MAX_COMPONENT_BYTES = 255
MAX_FOLDERS = 100

# A large file is stored in parts of this size, the last one shorter.
PART_BYTES = 8 * 1024**2
# Of one message; servers may be set to take 1 MiB at most.
PIECE_BYTES = 512 * 1024
# What is not larger goes up with others, packed.
SMALL_BYTES = 256 * 1024
MAX_PACKED_BYTES = 900_000
MAX_OFFERED = 500
# What one packed file costs beside its name and bytes.
_PACKED_EXTRA_BYTES = 160

MAX_SKIPPED = 100
MAX_WHY_LENGTH = 300
MAX_SHOWN_NAME_LENGTH = 1_000
MAX_LISTED = 1000
# Above what anybody stores in one file.
MAX_FILE_BYTES = 2**50
SHA256_BYTES = 32

Sha256: TypeAlias = bytes

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class OutputState(enum.StrEnum):
    """What a server says of a party run's outputs, or of one file, to the agent that has them."""

    OPEN = "open"
    STORED = "stored"
    REFUSED = "refused"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file at its site. `upload_id` (32 hex digits) names these very bytes."""

    upload_id: str
    name: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class PackedOutput:
    """A small file with its bytes."""

    file: OutputFile
    sha256: bytes
    data: bytes

    @property
    def weight_bytes(self) -> int:
        """What it adds to a message."""
        return packed_weight_bytes(self.file)


@dataclass(frozen=True, kw_only=True)
class OutputAnswer:
    """What the server says: of one file, or of all outputs of a party run."""

    state: OutputState
    stored_bytes: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that did not leave its site, and why; its name with escapes where it is no text."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class OutputsClosed:
    """Nothing follows. `withheld` is the rule of the site that kept something back, "" for none.

    `skipped` are the first MAX_SKIPPED of `skipped_count`.
    """

    withheld: str = ""
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0


@dataclass(frozen=True, kw_only=True)
class StoredOutput:
    """A file that can be downloaded."""

    federated_id: str
    name: str
    bytes: int
    sha256: Sha256
    stored_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ComingOutput:
    """A file on its way."""

    name: str
    bytes: int
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class PartyOutputs:
    """What one party's share of a run has made. `complete`: nothing follows.

    `files` and `bytes` count what can be downloaded.
    """

    federated_id: str
    rank: int
    complete: bool
    files: int
    bytes: int
    closed: OutputsClosed = OutputsClosed()
    coming: tuple[ComingOutput, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the page of a listing ends: a party's rank, and the key of a name."""

    rank: int
    key: str


def check_name(name: str, field: str = "name") -> None:
    """Accept a relative POSIX path that leads nowhere else.

    Raises:
        InvalidArgument: it is none; says what is wrong with it.
    """
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        raise _bad_name(name, "is not UTF-8", field) from None
    if not name:
        raise InvalidArgument(f"{field}: a file needs a name; it is empty", field=field)
    if size_bytes > MAX_NAME_BYTES:
        raise _bad_name(name, f"has {size_bytes} bytes, more than {MAX_NAME_BYTES}", field)
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise _bad_name(name, "holds a control character", field)
    if name.startswith("/"):
        raise _bad_name(name, "is absolute; name it within the outputs", field)
    components = name.split("/")
    if len(components) > MAX_FOLDERS:
        raise _bad_name(name, f"lies more than {MAX_FOLDERS} folders deep", field)
    for component in components:
        if component in ("", ".", ".."):
            what = f"has {component!r} between its slashes" if component else "has an empty part"
            raise _bad_name(name, what, field)
        if len(component.encode()) > MAX_COMPONENT_BYTES:
            raise _bad_name(name, f"has a part of more than {MAX_COMPONENT_BYTES} bytes", field)


def shown_name(name: str) -> str:
    """Return any name, also a file system's undecodable one, as text that can be printed."""
    text = "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in ("Cc", "Cs")
        else letter
        for letter in name
    )
    return text if len(text) <= MAX_SHOWN_NAME_LENGTH else text[: MAX_SHOWN_NAME_LENGTH - 1] + "…"


def check_file(file: OutputFile) -> None:
    """Accept a file that could be stored.

    Raises:
        InvalidArgument: it can't.
    """
    if not _UPLOAD_ID.fullmatch(file.upload_id):
        raise InvalidArgument("upload_id: must be 32 hex digits", field="upload_id")
    check_name(file.name)
    checks.number("bytes", file.bytes, least=0, most=MAX_FILE_BYTES)


def check_sha256(sha256: bytes) -> None:
    """Accept what can be a SHA-256.

    Raises:
        InvalidArgument: it has another length.
    """
    checks.number("sha256", len(sha256), least=SHA256_BYTES, most=SHA256_BYTES)


def check_closed(closed: OutputsClosed) -> None:
    """Accept last words that can be stored.

    Raises:
        InvalidArgument: they can't.
    """
    checks.text("withheld", closed.withheld, max_chars=MAX_WHY_LENGTH)
    checks.number("skipped", len(closed.skipped), least=0, most=MAX_SKIPPED)
    checks.number("skipped_count", closed.skipped_count, least=len(closed.skipped), most=2**62)
    for skipped in closed.skipped:
        checks.text("skipped.name", skipped.name, max_chars=MAX_SHOWN_NAME_LENGTH)
        checks.text("skipped.why", skipped.why, max_chars=MAX_WHY_LENGTH)


def packed_weight_bytes(file: OutputFile) -> int:
    """Return what a small file adds to a message."""
    return file.bytes + len(file.name.encode()) + _PACKED_EXTRA_BYTES


def packs(files: Iterable[OutputFile]) -> list[list[OutputFile]]:
    """Return small files as they go up together, in their order."""
    found: list[list[OutputFile]] = []
    weight_bytes = 0
    for file in files:
        weight_bytes += packed_weight_bytes(file)
        if not found or weight_bytes > MAX_PACKED_BYTES or len(found[-1]) >= MAX_OFFERED:
            found.append([])
            weight_bytes = packed_weight_bytes(file)
        found[-1].append(file)
    return found


def part_count(size_bytes: int) -> int:
    """Return into how many parts so many bytes go."""
    return -(-size_bytes // PART_BYTES)


def part_bytes(size_bytes: int, number: int) -> int:
    """Return the size of a file's part `number`, counted from 0."""
    return min(PART_BYTES, size_bytes - number * PART_BYTES)


def write_place(place: Place | None) -> str:
    """Return the place as text, "" for the end."""
    return "" if place is None else f"{place.rank}.{place.key}"


def read_place(text: str) -> Place:
    """Return the place that `write_place` wrote, for "" the one before everything.

    Raises:
        InvalidArgument: it was not.
    """
    if not text:
        return Place(rank=-1, key="")
    rank, _, key = text.partition(".")
    if not rank.isascii() or not rank.isdigit() or len(rank) > 9 or not key.isalnum():  # noqa: PLR2004
        raise InvalidArgument("after: not a place that a listing gave", field="after")
    checks.text("after", text, max_chars=100)
    return Place(rank=int(rank), key=key)


def _bad_name(name: str, what: str, field: str) -> InvalidArgument:
    shown = shown_name(name[:100])
    return InvalidArgument(f"{field}: {shown!r} {what}", field=field)
