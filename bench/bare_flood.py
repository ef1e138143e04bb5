"""Sends raw messages over /bare/Relay of bench.bare, as fast as the other end takes them.

python -m bench.bare_flood HOST:PORT MESSAGE_BYTES    answers lines: {"messages": n} sends as many
and says {"began_at": t}, the time of the clock on the wall before the first.
"""

import asyncio
import json
import sys
import time
from typing import Any

import grpc


async def main(address: str, message_bytes: int) -> None:
    message = bytes(message_bytes)
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        call: Any = channel.stream_stream("/bare/Relay")()
        await call.wait_for_connection()
        print(json.dumps({"connected": True}), flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps({"began_at": time.time()}), flush=True)
            for _ in range(json.loads(line)["messages"]):
                await call.write(message)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
