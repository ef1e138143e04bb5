"""One stream of outputs: pieces become parts, parts become files; little of them is in memory."""

import asyncio
import hashlib
import mmap
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from flow_contract.errors import InvalidArgument, NotFound
from flow_contract.outputs import (
    SMALL_BYTES,
    OutputAnswer,
    OutputFile,
    OutputsClosed,
    OutputState,
    PackedOutput,
    check_sha256,
    part_bytes,
    part_count,
)
from flow_server.services.output_pushes import OutputPushService
from flow_server.services.output_shares import Share, Upload
from flow_server.services.part_buffers import PartBuffers

# Of one stream: parts that are being stored while the next one comes.
_STORING = 3


@dataclass(kw_only=True)
class _Current:
    """The file that pieces belong to: `buffer` holds the beginning of part `number`, if any."""

    upload: Upload
    digest: "hashlib._Hash"
    number: int
    buffer: mmap.mmap | None = None
    size_bytes: int = 0


class OutputReceiver:
    """Takes one party run's outputs. `buffers` are those of all streams."""

    def __init__(self, pushes: OutputPushService, share: Share, buffers: PartBuffers) -> None:
        self._pushes = pushes
        self._share = share
        self._buffers = buffers
        self._current: _Current | None = None
        self._storing: deque[asyncio.Task[None]] = deque()
        self._digesting: asyncio.Task[None] | None = None
        self._held = 0

    async def offer(self, files: Sequence[OutputFile]) -> list[OutputAnswer]:
        """Say which are wanted, and of a large one how much is there. Raises as the service."""
        await self._leave()
        answers, upload = await self._pushes.offer(self._share, files)
        if upload is None:
            return answers
        digest = hashlib.sha256()
        try:
            for number in range(upload.stored_parts):
                part = await self._pushes.part(self._share, upload, number)
                if len(part) != part_bytes(upload.file.bytes, number):
                    raise NotFound("a part is cut off")
                await asyncio.to_thread(digest.update, part)
        except NotFound:
            # What was stored is not there: begin again.
            await self._pushes.give_up(self._share, upload)
            return await self.offer(files)
        self._current = _Current(upload=upload, digest=digest, number=upload.stored_parts)
        return answers

    async def piece(self, data: bytes) -> None:
        """Take the next bytes of the file that was offered.

        Raises:
            InvalidArgument: they are too many, or nothing was offered.
            StaleLease, Forbidden, Unavailable: an earlier part could not be stored.
        """
        current = self._current
        if current is None:
            raise InvalidArgument("piece: no file was offered that is wanted", field="piece")
        wanted = part_bytes(current.upload.file.bytes, current.number)
        end = current.size_bytes + len(data)
        if not data or end > wanted:
            raise InvalidArgument("piece: reaches over the end of a part", field="piece")
        if current.buffer is None:
            current.buffer = await self._buffers.take()
            self._held += 1
        current.buffer[current.size_bytes : end] = data
        current.size_bytes = end
        if end == wanted:
            await self._store(current, current.buffer)

    async def finish(self, sha256: bytes) -> OutputAnswer:
        """Let the file be seen if it is whole and right. Raises as `piece`."""
        check_sha256(sha256)
        current, self._current = self._current, None
        if current is None or current.number < part_count(current.upload.file.bytes):
            raise InvalidArgument("finish: not all bytes of a file have come", field="finish")
        while self._storing:
            await self._stored()
        if current.digest.digest() != sha256:
            await self._pushes.give_up(self._share, current.upload)
            return OutputAnswer(
                state=OutputState.BROKEN, why="the bytes that came are not those of the SHA-256"
            )
        await self._pushes.finish(self._share, current.upload, sha256)
        return OutputAnswer(state=OutputState.STORED, stored_bytes=current.upload.file.bytes)

    async def pack(self, packed: Sequence[PackedOutput]) -> list[OutputAnswer]:
        """Store small files; those whose bytes are not right are left out. Raises as `piece`."""
        await self._leave()
        for one in packed:
            check_sha256(one.sha256)
            if len(one.data) != one.file.bytes or one.file.bytes > SMALL_BYTES:
                raise InvalidArgument("pack: not so many bytes as are said", field="pack")
        right = await asyncio.to_thread(_right, packed)
        stored = iter(
            await self._pushes.pack(
                self._share, [one for one, is_right in zip(packed, right, strict=True) if is_right]
            )
            if any(right)
            else []
        )
        broken = OutputAnswer(
            state=OutputState.BROKEN, why="the bytes that came are not those of the SHA-256"
        )
        return [next(stored) if is_right else broken for is_right in right]

    async def close(self, closed: OutputsClosed) -> OutputAnswer:
        """Take it that nothing follows. Raises as the service."""
        await self._leave()
        return await self._pushes.close(self._share, closed)

    async def aclose(self) -> None:
        """Let go of what is not stored; the parts that are stay. May be called twice."""
        await self._leave()

    async def _store(self, current: _Current, buffer: mmap.mmap) -> None:
        size_bytes, current.buffer, current.size_bytes = current.size_bytes, None, 0
        while len(self._storing) >= _STORING:
            await self._stored()
        before = self._storing[-1] if self._storing else None
        data = memoryview(buffer)[:size_bytes]
        # Beside the storing, and in the order of the parts.
        digesting = self._digesting = asyncio.create_task(
            _digested(current.digest, data, after=self._digesting)
        )
        work = self._put(current.upload, current.number, buffer, data, (digesting, before))
        self._storing.append(asyncio.create_task(work))
        current.number += 1

    async def _put(
        self,
        upload: Upload,
        number: int,
        buffer: mmap.mmap,
        data: memoryview,
        others: "tuple[asyncio.Task[None], asyncio.Task[None] | None]",
    ) -> None:
        digesting, before = others
        await self._pushes.put_part(self._share, upload, number, data)
        await asyncio.shield(digesting)
        # Only now: of a put that was cut off nobody knows if it still reads.
        self._held -= 1
        self._buffers.give_back(buffer)
        if before is not None:
            await before
        await self._pushes.take_part(self._share, upload, number)

    async def _stored(self) -> None:
        """Wait until the oldest of the parts on their way counts."""
        await self._storing[0]
        self._storing.popleft()

    async def _leave(self) -> None:
        self._current = None
        storing, self._storing = self._storing, deque()
        for task in storing:
            task.cancel()
        digesting, self._digesting = self._digesting, None
        works = storing if digesting is None else [*storing, digesting]
        try:
            await asyncio.gather(*works, return_exceptions=True)
        finally:
            while self._held:
                self._held -= 1
                self._buffers.drop()


async def _digested(
    digest: "hashlib._Hash", data: memoryview, *, after: "asyncio.Task[None] | None"
) -> None:
    if after is not None:
        await after
    await asyncio.to_thread(digest.update, data)


def _right(packed: Sequence[PackedOutput]) -> list[bool]:
    return [hashlib.sha256(one.data).digest() == one.sha256 for one in packed]
