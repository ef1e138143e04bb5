"""The scripts of `task.outputs` and `task.download`."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from flow_contract.errors import Conflict, FlowError, Internal, InvalidArgument
from flow_contract.outputs import MAX_LISTED, PartyOutputs, StoredOutput, check_name
from flow_server_sdk import failures, methods, shapes
from flow_server_sdk.landing import Landing
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import (
    MAX_ATTEMPTS,
    Link,
    Next,
    Open,
    Pause,
    Script,
    Step,
    Tell,
    Work,
    exchange,
    explained,
    read,
)
from flow_wire import outputs_pb2
from flow_wire.codec.outputs import decode_party_outputs, decode_stored_output

Listener = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which outputs: () means all parties, all names."""

    task_id: str
    run_id: str
    parties: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Listed:
    run_id: str
    parties: list[PartyOutputs]
    files: list[StoredOutput]


def asked(
    task_id: object,
    *,
    run_id: object,
    party: str | Sequence[str] | None,
    name: str | Sequence[str] | None = None,
) -> Asked:
    """Return what is asked for. Raises InvalidArgument."""
    wanted = Asked(
        task_id=forms.text("task_id", task_id),
        run_id=forms.text("run_id", run_id or ""),
        parties=_texts("party", party),
        names=_texts("name", name),
    )
    for one in wanted.names:
        check_name(one)
    return wanted


def outputs(
    task_id: str,
    run_id: str | None,
    party: str | Sequence[str] | None,
    parties_only: object,
    link: Link,
) -> Script:
    """List all that is asked for."""
    try:
        what = asked(task_id, run_id=run_id, party=party)
        is_short = forms.boolean("parties_only", parties_only)
        listed = yield from _listed(what, link, is_short=is_short)
    except FlowError as error:
        return failures.answer(error)
    return shapes.success(
        {
            "run_id": listed.run_id,
            "files": [shapes.output(file) for file in listed.files],
            "parties": [shapes.party_outputs(one) for one in listed.parties],
        }
    )


def download(
    wanted: Callable[[], Asked],
    to: str | Path,
    overwrite: object,
    on_progress: Listener | None,
    link: Link,
) -> Script:
    """Bring down all that is asked for, one file after the other."""
    try:
        what = wanted()
        may_overwrite = forms.boolean("overwrite", overwrite)
        listed = yield from _listed(what, link)
        if missing := set(what.names) - {file.name for file in listed.files}:
            raise InvalidArgument(
                f"name: there is no output {min(missing)!r} (yet); task.outputs says what is",
                field="name",
            )
        brought = []
        for file in listed.files:
            down = _Down(listed.run_id, what.task_id, Path(to), may_overwrite, on_progress, link)
            brought.append((yield from down.bring(file)))
    except FlowError as error:
        return failures.answer(error)
    return shapes.success({"run_id": listed.run_id, "files": brought})


def _listed(what: Asked, link: Link, *, is_short: bool = False) -> Generator[Step, Any, _Listed]:
    """Return all pages, or with `is_short` what stands on the first: the parties."""
    files: list[StoredOutput] = []
    request = outputs_pb2.ListOutputsRequest(
        task_id=what.task_id, run_id=what.run_id, limit=1 if is_short else MAX_LISTED
    )
    if len(what.parties) == 1:
        request.federated_id = what.parties[0]
    if len(what.names) == 1:
        request.name = what.names[0]
    while True:
        reply = yield from exchange(methods.LIST_OUTPUTS, request, link)
        parties = read(
            link, lambda wire: [decode_party_outputs(one) for one in wire.parties], reply
        )
        files += read(link, lambda wire: [decode_stored_output(one) for one in wire.files], reply)
        # Should a new run begin meanwhile, the next page is still of this one.
        request.run_id, request.after = reply.run_id, reply.next
        if is_short:
            files.clear()
        if is_short or not reply.next:
            break
    if unknown := set(what.parties) - {one.federated_id for one in parties}:
        raise InvalidArgument(
            f"party: {min(unknown)!r} has no part in this run; name one that has", field="party"
        )
    ranks = {one.federated_id: one.rank for one in parties}
    return _Listed(
        run_id=reply.run_id,
        parties=[one for one in parties if not what.parties or one.federated_id in what.parties],
        files=sorted(
            (
                file
                for file in files
                if (not what.parties or file.federated_id in what.parties)
                and (not what.names or file.name in what.names)
            ),
            key=lambda file: (ranks[file.federated_id], file.name),
        ),
    )


@dataclass(frozen=True)
class _Down:
    """Brings files of one run down."""

    run_id: str
    task_id: str
    to: Path
    overwrite: bool
    on_progress: Listener | None
    link: Link

    def bring(self, file: StoredOutput) -> Generator[Step, Any, dict[str, Any]]:
        """Bring one file down, again where it is replaced meanwhile or comes damaged."""
        for _ in range(MAX_ATTEMPTS):
            landing = yield Work(call=partial(Landing, self.to, file, overwrite=self.overwrite))
            try:
                if landing.is_there:
                    return shapes.output(file) | {"path": str(landing.path)}
                yield from self._stream(landing)
                if (yield Work(call=landing.finish)):
                    return shapes.output(file) | {"path": str(landing.path)}
            except Conflict:
                landing.discard()
                file = yield from self._anew(file)
            finally:
                landing.close()
        raise Internal(
            f"{self.link.address}: {file.name!r} is replaced or damaged each time it is read"
        )

    def _anew(self, file: StoredOutput) -> Generator[Step, Any, StoredOutput]:
        what = Asked(
            task_id=self.task_id,
            run_id=self.run_id,
            parties=(file.federated_id,),
            names=(file.name,),
        )
        listed = yield from _listed(what, self.link)
        if not listed.files:
            raise InvalidArgument(f"name: output {file.name!r} is gone", field="name")
        return listed.files[0]

    def _stream(self, landing: Landing) -> Generator[Step, Any, None]:
        attempt = 0
        while landing.size_bytes < landing.stored.bytes:
            stream = yield Open(
                method=methods.DOWNLOAD_OUTPUT, request=self._request(landing), timeout_s=None
            )
            try:
                while (reply := (yield Next(stream=stream))) is not None:
                    if reply.WhichOneof("body") == "data":
                        yield Work(call=partial(landing.write, reply.data))
                        attempt = 0
                        yield from self._tell(landing)
            except grpc.RpcError as error:
                attempt += 1
                if attempt >= MAX_ATTEMPTS or not failures.is_lost(error):
                    raise (yield from explained(error, self.link)) from error
                yield Pause(seconds=self.link.pause_s(attempt))
            else:
                return
            finally:
                stream.cancel()

    def _request(self, landing: Landing) -> outputs_pb2.DownloadOutputRequest:
        return outputs_pb2.DownloadOutputRequest(
            task_id=self.task_id,
            run_id=self.run_id,
            federated_id=landing.stored.federated_id,
            name=landing.stored.name,
            offset=landing.size_bytes,
            sha256=landing.stored.sha256,
        )

    def _tell(self, landing: Landing) -> Generator[Step, Any, None]:
        if self.on_progress is not None:
            told = shapes.output(landing.stored) | {"downloaded_bytes": landing.size_bytes}
            yield Tell(listener=self.on_progress, data=told)


def _texts(field: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(forms.text(field, one) for one in ([value] if isinstance(value, str) else value))
