"""Showing what runs have made, and giving files out; nothing of a file is kept here."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.errors import Conflict, InvalidArgument, Kind, NotFound
from flow_contract.outputs import (
    MAX_FILE_BYTES,
    MAX_LISTED,
    PART_BYTES,
    SHA256_BYTES,
    PartyOutputs,
    Place,
    StoredOutput,
    check_name,
    read_place,
)
from flow_server.domain.access import RULES, decide
from flow_server.domain.output_keys import part_key
from flow_server.storage import log_reads, output_reads, tasks
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Connection, Database
from flow_server.storage.output_reads import LyingOutput

# Of one message to a reader, and what of a file is in memory here.
_SENT_BYTES = 1024**2


@dataclass(frozen=True, kw_only=True)
class OutputPage:
    """One page of a run's files, and what each party has made; `next` is None at the end."""

    run_id: str
    parties: list[PartyOutputs]
    files: list[StoredOutput]
    next: Place | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which outputs; "" means the task's newest run, all parties, all names."""

    task_id: str
    run_id: str = ""
    federated_id: str = ""
    name: str = ""


class OutputReadService:
    """Lists and reads outputs."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def list(
        self, wanted: Wanted, *, after: str = "", limit: int, caller: Caller
    ) -> OutputPage:
        """Return one page, by rank of the party.

        Raises:
            NotFound: no such task, run, or party in it.
            Conflict: the task was never started.
            Forbidden: the task is another user's.
            InvalidArgument: `limit` or `after`.
        """
        _check(wanted)
        checks.number("limit", limit, least=1, most=MAX_LISTED)
        place = read_place(after)
        async with self._database.snapshot() as connection:
            run_id = await _run(connection, "OutputService/List", wanted, caller)
            parties = await output_reads.outputs_of_run(connection, run_id)
            if wanted.federated_id:
                parties = [one for one in parties if one.federated_id == wanted.federated_id]
                if not parties:
                    raise _no_part(wanted.federated_id)
            files, next_place = await output_reads.page(
                connection,
                run_id=run_id,
                federated_id=wanted.federated_id,
                name=wanted.name,
                after=place,
                limit=limit,
            )
        return OutputPage(run_id=run_id, parties=parties, files=files, next=next_place)

    async def read(
        self,
        wanted: Wanted,
        *,
        offset: int,
        sha256: bytes,
        caller: Caller,
        again: Callable[[], Awaitable[Caller]],
    ) -> AsyncGenerator[StoredOutput | bytes, None]:
        """Yield what is known of a file, then its bytes from `offset` on.

        `sha256` b"" takes any content. `again` says who the caller is by now; it is asked before
        each part.

        Raises:
            NotFound: no such task, run, party or file, or the run was deleted meanwhile.
            Conflict: the task was never started, or the file has another content by now.
            Forbidden, Unauthenticated: the caller may not, or not any more.
            InvalidArgument: the offset lies outside the file.
            Unavailable: it can't be read now.
        """
        _check(wanted)
        check_name(wanted.name)
        if sha256:
            checks.number("sha256", len(sha256), least=SHA256_BYTES, most=SHA256_BYTES)
        checks.number("offset", offset, least=0, most=MAX_FILE_BYTES)
        async with self._database.snapshot() as connection:
            run_id = await _run(connection, "OutputService/Download", wanted, caller)
            found = await output_reads.find(
                connection, run_id=run_id, federated_id=wanted.federated_id, name=wanted.name
            )
        if found is None:
            raise NotFound(
                f"party {wanted.federated_id!r} has no output {wanted.name[:100]!r} in this run; "
                "list the outputs to see what there is",
                kind=Kind.RUN,
                subject_id=run_id,
                field="name",
            )
        if sha256 and found.stored.sha256 != sha256:
            raise _replaced(run_id)
        if offset > found.stored.bytes:
            raise InvalidArgument(
                f"offset: {offset} lies behind the end, {found.stored.bytes}", field="offset"
            )
        yield found.stored
        position = found.offset_bytes + offset
        end = found.offset_bytes + found.stored.bytes
        checked = -1
        while position < end:
            number, begin = divmod(position, PART_BYTES)
            if number != checked:
                owner = await self._owner(wanted.task_id)
                decide(RULES["OutputService/Download"], await again(), owner)
                checked = number
            size_bytes = min(_SENT_BYTES, end - position, PART_BYTES - begin)
            data = await self._part(run_id, found, number, begin, size_bytes)
            yield data
            position += len(data)

    async def _part(
        self, run_id: str, found: LyingOutput, number: int, begin: int, size_bytes: int
    ) -> bytes:
        key = part_key(run_id, found.party_run_id, found.blob, number)
        try:
            data = await self._blobs.get_range(key, begin, size_bytes)
        except NotFound:
            # Replaced, or deleted with its run.
            raise _replaced(run_id) from None
        if len(data) != size_bytes:
            raise _replaced(run_id)
        return data

    async def _owner(self, task_id: str) -> str:
        async with self._database.glance() as connection:
            return await tasks.owner_of(connection, task_id)


async def _run(connection: Connection, call: str, wanted: Wanted, caller: Caller) -> str:
    decide(RULES[call], caller, await tasks.owner_of(connection, wanted.task_id))
    run_id = await log_reads.run_to_read(connection, wanted.task_id, wanted.run_id)
    if run_id is None:
        raise Conflict(
            "the task was never started, so there are no outputs; start it first",
            kind=Kind.TASK,
            subject_id=wanted.task_id,
        )
    return run_id


def _check(wanted: Wanted) -> None:
    checks.text("task_id", wanted.task_id)
    checks.text("run_id", wanted.run_id)
    checks.text("federated_id", wanted.federated_id)
    if wanted.name:
        check_name(wanted.name)


def _no_part(federated_id: str) -> NotFound:
    return NotFound(
        f"party {federated_id[:63]!r} has no part in this run; name one that has",
        kind=Kind.PARTY,
        subject_id=federated_id[:63],
        field="federated_id",
    )


def _replaced(run_id: str) -> Conflict:
    return Conflict(
        "another file has taken this one's place meanwhile, or its run was deleted; "
        "begin again from the listing",
        kind=Kind.RUN,
        subject_id=run_id,
    )
