"""A plain TCP server: the first byte of a connection says what it is about.

argv: port, how many connections are held at once before any is answered.
"""

import asyncio
import hashlib
import os
import socket
import struct
import sys

PORT, HELD = int(sys.argv[1]), int(sys.argv[2])
BLOCK = os.urandom(1_000_000)
held = set()
all_held = asyncio.Event()
seen = asyncio.Event()


async def half(reader, writer):
    """Answer only when the other side has ended: how much it sent, and its digest."""
    count, digest = 0, hashlib.sha256()
    while data := await reader.read(65_536):
        count += len(data)
        digest.update(data)
    writer.write(b"%d %s" % (count, digest.hexdigest().encode()))


async def echo(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


async def stream(reader, writer):
    """Send as much as is asked for, no two blocks alike; then hear the digest of it."""
    left, number, digest = int.from_bytes(await reader.readexactly(8), "big"), 0, hashlib.sha256()
    while left:
        block = (number.to_bytes(8, "big") + BLOCK)[:left]
        digest.update(block)
        writer.write(block)
        await writer.drain()
        left, number = left - len(block), number + 1
    writer.write_eof()
    heard = (await reader.readexactly(64)).decode()
    print("same" if heard == digest.hexdigest() else "other", flush=True)


async def hold(reader, writer):
    """Answer when all that are expected are here at once."""
    number = await reader.readexactly(4)
    held.add(number)
    if len(held) == HELD:
        all_held.set()
    await all_held.wait()
    writer.write(number)
    print("held %d" % len(held), flush=True)
    await reader.read()


async def break_off(reader, writer):
    await reader.readexactly(5)
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


async def wait_for_break(reader, writer):
    """Say how the other side ends."""
    writer.write(await reader.readexactly(5))
    try:
        how = "it spoke" if await reader.read() else "it ended"
    except ConnectionResetError:
        how = "it was reset"
    print(how, flush=True)
    seen.set()


async def say_break(_, writer):
    """Answer when another connection has ended, however."""
    await seen.wait()
    writer.write(b"!")


KINDS = {
    b"h": half, b"e": echo, b"s": stream, b"o": hold, b"b": break_off, b"w": wait_for_break,
    b"?": say_break,
}  # fmt: skip


async def serve(reader, writer):
    try:
        # Who only looked whether somebody listens says nothing.
        if kind := await reader.read(1):
            await KINDS[kind](reader, writer)
        writer.close()
    except ConnectionResetError:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", PORT, backlog=1024)  # noqa: S104
    async with server:
        await server.serve_forever()


asyncio.run(main())
