"""Streams to bench.bare, each with a TCP connection of its own, that answer what they are sent.

python -m bench.bare_clients HOST:PORT STREAMS      says {"streams": n} when all are open

One that is cut off dials again at once, until it is open.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

import grpc

from bench.limits import allow_many_files
from party_agent.dial import channel_options
from party_agent.settings import AgentSettings

# About what a report of an agent takes.
ANSWER = bytes(80)
DIALLING_AT_ONCE = 50
REDIAL_S = 0.1
KEEPALIVE_S = float(AgentSettings.model_fields["keepalive_s"].default)


async def keep_answering(address: str, dialling: asyncio.Semaphore, opened: asyncio.Event) -> None:
    async with grpc.aio.insecure_channel(address, options=channel_options(KEEPALIVE_S)) as channel:
        async with dialling:
            await channel.channel_ready()
            call: Any = channel.stream_stream("/bare/Echo")()
        opened.set()
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in call:
                await call.write(ANSWER)


async def stay(address: str, dialling: asyncio.Semaphore, opened: asyncio.Event) -> None:
    while True:
        await keep_answering(address, dialling, opened)
        # No back-off: this is the reference that does without.
        await asyncio.sleep(REDIAL_S)


async def main(address: str, streams: int) -> None:
    allow_many_files()
    dialling = asyncio.Semaphore(DIALLING_AT_ONCE)
    opened = [asyncio.Event() for _ in range(streams)]
    async with asyncio.TaskGroup() as group:
        for event in opened:
            group.create_task(stay(address, dialling, event))
        for event in opened:
            await event.wait()
        print(json.dumps({"streams": streams}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
