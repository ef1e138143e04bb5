"""Sends files over one stream: small ones together, large ones in pieces from where they were cut.

Of a file of any size little more than two blocks are in memory.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing

from flow_contract.outputs import (
    MAX_OFFERED,
    PIECE_BYTES,
    SMALL_BYTES,
    OutputAnswer,
    OutputState,
    packs,
)
from party_agent.outputs_out.sources import Source, packed, read_exactly
from party_agent.outputs_out.tree import Changed
from party_agent.outputs_out.upstream import Upstream

# Read and digested at a time; whole pieces, and whole parts of several.
_BLOCK_BYTES = 8 * PIECE_BYTES
_MAX_ATTEMPTS = 3
# Of one offer, with ids beside them: servers may be set to take 1 MiB at most.
_MAX_NAMES_BYTES = 512 * 1024

# Told of each file: "" once the server has it, else why it does not leave.
Ended = Callable[[Source, str], Awaitable[None]]


async def send_all(upstream: Upstream, sources: Iterable[Source], ended: Ended) -> None:
    """Send files in their order, small ones with those that follow them."""
    small: list[Source] = []
    names_bytes = 0
    for source in sources:
        if source.file.bytes <= SMALL_BYTES:
            names_bytes += len(source.file.name.encode())
            if len(small) == MAX_OFFERED or names_bytes > _MAX_NAMES_BYTES:
                await _send_small(upstream, small, ended)
                small, names_bytes = [], len(source.file.name.encode())
            small.append(source)
        else:
            await _send_large(upstream, source, ended)
    if small:
        await _send_small(upstream, small, ended)


async def _send_small(upstream: Upstream, sources: Sequence[Source], ended: Ended) -> None:
    for _ in range(_MAX_ATTEMPTS):
        if not sources:
            return
        wanted = []
        answers = await upstream.offer([source.file for source in sources])
        for source, answer in zip(sources, answers, strict=True):
            if answer.state is OutputState.OPEN:
                wanted.append(source)
            else:
                await ended(source, answer.why)
        sources = await _pack(upstream, wanted, ended)
    for source in sources:
        await ended(source, "it changes while it is read")


async def _pack(upstream: Upstream, sources: Sequence[Source], ended: Ended) -> list[Source]:
    """Send small files; return those that are to be tried again."""
    by_name = {source.file.name: source for source in sources}
    again: list[Source] = []
    for group in packs([source.file for source in sources]):
        read = []
        for file in group:
            source = by_name[file.name]
            try:
                read.append(await asyncio.to_thread(packed, source))
            except Changed as error:
                again += await _looked_at_again(source, str(error), ended)
            except OSError as error:
                await ended(source, _unreadable(error))
        if not read:
            continue
        for one, answer in zip(read, await upstream.pack(read), strict=True):
            source = by_name[one.file.name]
            if answer.state is OutputState.BROKEN:
                again.append(source)
            else:
                await ended(source, answer.why)
    return again


async def _send_large(upstream: Upstream, source: Source, ended: Ended) -> None:
    why = ""
    for _ in range(_MAX_ATTEMPTS):
        if source.file.bytes <= SMALL_BYTES:
            await _send_small(upstream, [source], ended)
            return
        try:
            answer = await _sent(upstream, source)
        except Changed as error:
            why = str(error)
            found = await _looked_at_again(source, why, ended)
            if not found:
                return
            source = found[0]
            continue
        except OSError as error:
            await ended(source, _unreadable(error))
            return
        if answer.state is not OutputState.BROKEN:
            await ended(source, answer.why)
            return
        why = answer.why
    await ended(source, why)


async def _sent(upstream: Upstream, source: Source) -> OutputAnswer:
    with ExitStack() as stack:
        opened = await asyncio.to_thread(stack.enter_context, source.opened())
        (answer,) = await upstream.offer([source.file])
        if answer.state is not OutputState.OPEN:
            return answer
        digest = hashlib.sha256()
        position = 0
        async with aclosing(_blocks(opened, source.file.bytes, digest)) as blocks:
            async for block in blocks:
                # What the server has is read all the same: the digest is of the whole.
                for begin in range(0, len(block), PIECE_BYTES):
                    if position >= answer.stored_bytes:
                        await upstream.piece(block[begin : begin + PIECE_BYTES])
                    position += min(PIECE_BYTES, len(block) - begin)
        await asyncio.to_thread(source.check, opened)
        return await upstream.finish(digest.digest())


async def _blocks(
    opened: int, size_bytes: int, digest: "hashlib._Hash"
) -> AsyncGenerator[bytes, None]:
    """Yield a file's blocks, each of which is read while the one before it is sent."""

    def read(start: int) -> bytes:
        block = read_exactly(opened, start, min(_BLOCK_BYTES, size_bytes - start))
        digest.update(block)
        return block

    reading: asyncio.Task[bytes] | None = None
    try:
        for start in range(0, size_bytes, _BLOCK_BYTES):
            block = await (reading or asyncio.to_thread(read, start))
            following = start + _BLOCK_BYTES
            if following < size_bytes:
                reading = asyncio.create_task(asyncio.to_thread(read, following))
            yield block
    finally:
        if reading is not None:
            reading.cancel()


async def _looked_at_again(source: Source, why: str, ended: Ended) -> list[Source]:
    found = await asyncio.to_thread(source.again)
    if found is None:
        await ended(source, why)
        return []
    return [found]


def _unreadable(error: OSError) -> str:
    return f"the agent can't read it ({error.strerror})"
