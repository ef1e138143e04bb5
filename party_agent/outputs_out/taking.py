"""`PUT /v1/outputs/<path>`: a workload sends a file, of which little is in memory at a time."""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

import structlog

from flow_contract.assignments import WorkloadSpec
from flow_contract.errors import Exhausted, Forbidden, InvalidArgument, TooLarge
from flow_contract.outputs import check_name
from party_agent.outputs_out.caps import Verdict, judge
from party_agent.outputs_out.spool import OutputSpool
from party_agent.outputs_out.spools import OutputSpools
from party_agent.policy.rules import MayLeave
from party_agent.workload_api.http import Answer, Handler, Request

PREFIX = "/v1/outputs/"
_WRITE_BYTES = 1024**2
# Written to the disk itself as it comes, so that the last answer does not wait for all of it.
_SYNC_BYTES = 64 * 1024**2

log = structlog.get_logger()


class OutputTaking:
    """Takes what workloads send into `spools`. `rules` are those in force."""

    def __init__(self, spools: OutputSpools, rules: Callable[[], MayLeave]) -> None:
        self._spools = spools
        self._rules = rules
        # By party run, of files that are not kept yet.
        self._coming_bytes: Counter[str] = Counter()
        self._coming_files: Counter[str] = Counter()

    def routes(self, spec: WorkloadSpec) -> Mapping[tuple[str, str], Handler]:
        """Return what one party run may ask for."""

        async def put(request: Request) -> Answer:
            return await self._put(spec.party_run_id, request)

        return {("PUT", PREFIX): put}

    async def _put(self, party_run_id: str, request: Request) -> Answer:
        name = _name(request.path)
        spool = await asyncio.to_thread(self._spools.of, party_run_id)
        coming = _Coming(name, await asyncio.to_thread(spool.draft))
        try:
            self._coming_files[party_run_id] += 1
            if request.size_bytes is not None:
                self._check(party_run_id, spool, coming, more_bytes=request.size_bytes)
            async for chunk in request.chunks:
                self._check(party_run_id, spool, coming, more_bytes=len(chunk))
                self._coming_bytes[party_run_id] += len(chunk)
                await coming.take(chunk)
            await coming.end()
            self._check(party_run_id, spool, coming)
            await asyncio.to_thread(
                spool.keep, coming.draft, name, coming.size_bytes, coming.digest.digest()
            )
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            return _no_room(name, error)
        finally:
            self._coming_files[party_run_id] -= 1
            self._coming_bytes[party_run_id] -= coming.size_bytes
            await asyncio.shield(asyncio.to_thread(coming.discard))
        return Answer(
            status=200,
            document={
                "name": name,
                "bytes": coming.size_bytes,
                "sha256": coming.digest.hexdigest(),
            },
        )

    def _check(
        self, party_run_id: str, spool: OutputSpool, coming: "_Coming", *, more_bytes: int = 0
    ) -> None:
        size_bytes = coming.size_bytes + more_bytes
        others_bytes = self._coming_bytes[party_run_id] - coming.size_bytes
        verdict = judge(
            size_bytes,
            files=spool.sent_files + self._coming_files[party_run_id] - 1,
            sent_bytes=spool.sent_bytes + others_bytes,
            caps=self._spools.caps,
            rules=self._rules(),
        )
        if not verdict.may_leave:
            raise _refusal(coming.name, verdict)
        waiting_bytes = self._spools.waiting_bytes + others_bytes + size_bytes
        if waiting_bytes > self._spools.caps.waiting_bytes:
            raise Exhausted(
                f"{coming.name!r}: too many outputs of this site wait to be sent; try again later"
            )


class _Coming:
    """A file that comes, in a draft that nobody else sees."""

    def __init__(self, name: str, draft: Path) -> None:
        self.name = name
        self.draft = draft
        self.size_bytes = 0
        self.digest = hashlib.sha256()
        self._file: int | None = None
        self._buffer = bytearray()
        self._unsynced_bytes = 0

    async def take(self, chunk: bytes) -> None:
        """Take the next bytes. Raises OSError."""
        self.size_bytes += len(chunk)
        self._buffer += chunk
        if len(self._buffer) >= _WRITE_BYTES:
            await asyncio.to_thread(self._write)

    async def end(self) -> None:
        """Return once all bytes are on the disk. Raises OSError."""
        await asyncio.to_thread(self._end)

    def discard(self) -> None:
        """Let go of what was not kept."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self.draft.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self.draft, flags, 0o600)
        content, self._buffer = self._buffer, bytearray()
        self.digest.update(content)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._unsynced_bytes += len(content)
        if self._unsynced_bytes >= _SYNC_BYTES:
            os.fdatasync(self._file)
            self._unsynced_bytes = 0

    def _end(self) -> None:
        self._write()
        if self._file is not None:
            os.fsync(self._file)


def _name(path: str) -> str:
    try:
        name = unquote_to_bytes(path.removeprefix(PREFIX)).decode()
    except UnicodeDecodeError:
        raise InvalidArgument(
            f"name: {path.removeprefix(PREFIX)[:100]!r} is not UTF-8", field="name"
        ) from None
    check_name(name)
    return name


def _refusal(name: str, verdict: Verdict) -> Forbidden | TooLarge:
    if verdict.rule:
        return Forbidden(
            f"{name!r} may not leave this site; its rule {verdict.rule} says so", field="name"
        )
    return TooLarge(f"{name!r}: {verdict.why}", field="name")


def _no_room(name: str, error: OSError) -> Answer:
    log.warning("output_not_taken", why=error.strerror)
    message = f"{name!r}: the site can't store this now ({error.strerror}); nothing of it is kept"
    # Insufficient Storage: it may work later.
    return Answer(status=507, document={"error": {"field": "", "message": message}})
