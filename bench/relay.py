"""The relay alone: bytes through one tunnel, without agents and without TLS.

`python -m bench.relay`: throughput, and the CPU that the relay's thread takes for it.
"""

import asyncio
import multiprocessing
import os
import socket
import threading
import time
from pathlib import Path

from flow_contract.tunnels import HELLO, NONCE_BYTES, Joined, Side, Ticket, joining
from flow_server.relay.relay import Relay

SENT_BYTES = 2 * 1024**3
CHUNK_BYTES = 1024**2
ROUND_TRIPS = 2000
PING_BYTES = 100


def dial(port: int, ticket: Ticket, side: Side) -> socket.socket:
    """Return a joined end."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = sock.recv(len(HELLO) + NONCE_BYTES, socket.MSG_WAITALL)
    sock.sendall(joining(ticket, hello[len(HELLO) :], side))
    if sock.recv(1) != bytes([Joined.JOINED]):
        raise SystemExit("the relay joined nobody")
    return sock


def answer(port: int, bulk: Ticket, pings: Ticket) -> None:
    """Take the bulk and say so, then send back what comes."""
    with dial(port, bulk, Side.ANSWERS) as sock:
        buffer = bytearray(CHUNK_BYTES)
        while sock.recv_into(buffer):
            pass
        sock.sendall(b"!")
    with dial(port, pings, Side.ANSWERS) as sock:
        while data := sock.recv(PING_BYTES):
            sock.sendall(data)


def send(port: int, bulk: Ticket, pings: Ticket) -> None:
    """Send the bulk, then ping; print what was measured."""
    with dial(port, bulk, Side.DIALS) as sock:
        chunk, began_s = bytes(CHUNK_BYTES), time.perf_counter()
        for _ in range(SENT_BYTES // CHUNK_BYTES):
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
        print(f"throughput      {SENT_BYTES / 1e6 / (time.perf_counter() - began_s):8.0f} MB/s")
    with dial(port, pings, Side.DIALS) as sock:
        taken_s = []
        for _ in range(ROUND_TRIPS):
            began_s = time.perf_counter()
            sock.sendall(bytes(PING_BYTES))
            sock.recv(PING_BYTES, socket.MSG_WAITALL)
            taken_s.append(time.perf_counter() - began_s)
        print(f"round trip, p50 {sorted(taken_s)[ROUND_TRIPS // 2] * 1e6:8.0f} us", flush=True)


def cpu_s_of(name: str) -> float:
    """Return the CPU that this process's thread has taken."""
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
            fields = stat.rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise SystemExit(f"there is no thread {name}")


async def main() -> None:
    """Measure."""
    relay = Relay(host="127.0.0.1", port=0)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0)
    tickets = [relay.issue("bench") for _ in range(2)]
    spawning = multiprocessing.get_context("spawn")
    ends = [
        spawning.Process(target=target, args=(relay.port, *tickets)) for target in (answer, send)
    ]
    for end in ends:
        end.start()
    for end in ends:
        await asyncio.to_thread(end.join)
    print(f"relay's CPU     {cpu_s_of('relay') / SENT_BYTES * 1e9:8.2f} s/GB")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    relay.close()


if __name__ == "__main__":
    asyncio.run(main())
