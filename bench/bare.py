"""A bare grpc.aio server: what the same streams cost with nothing of ours around them.

    python -m bench.bare [PORT] says {"address": …}, then answers lines:
    {"streams": n, "bytes": b}  one message of b bytes to each of n streams, one answer from
                                each: {"seconds": s}
    {"connected": true}         how many streams there are: {"streams": n}

/bare/Echo is the stream of those rounds. What is sent over /bare/Relay goes to every other
stream of /bare/Relay.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from flow_server.settings import ServerSettings

KEEPALIVE_MS = round(ServerSettings().keepalive_s * 1000)

# Idle streams must cost here what the flow server's pings make them cost there.
OPTIONS = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class Bare:
    """The two methods."""

    def __init__(self) -> None:
        self._echoes: list[Any] = []
        self._relays: list[Any] = []
        self._missing = 0
        self._all_answered = asyncio.Event()

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> None:
        self._echoes.append(context)
        try:
            async for _ in requests:
                self._missing -= 1
                if self._missing == 0:
                    self._all_answered.set()
        finally:
            self._echoes.remove(context)

    async def relay(self, requests: AsyncIterator[bytes], context: Any) -> None:
        self._relays.append(context)
        try:
            async for message in requests:
                for other in self._relays:
                    if other is not context:
                        await other.write(message)
        finally:
            self._relays.remove(context)

    async def round(self, streams: int, payload: bytes) -> float:
        self._missing = streams
        self._all_answered.clear()
        began_s = time.perf_counter()
        await asyncio.gather(*(context.write(payload) for context in self._echoes[:streams]))
        await self._all_answered.wait()
        return time.perf_counter() - began_s

    async def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "bytes" in message:
            return {"seconds": await self.round(message["streams"], bytes(message["bytes"]))}
        return {"streams": len(self._echoes)}


async def main(port: int) -> None:
    bare = Bare()
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, Any] = {
        "Echo": grpc.stream_stream_rpc_method_handler(bare.echo),
        "Relay": grpc.stream_stream_rpc_method_handler(bare.relay),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bare", handlers)])
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(json.dumps({"address": f"127.0.0.1:{port}"}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await bare.answer(json.loads(line))), flush=True)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 0))
