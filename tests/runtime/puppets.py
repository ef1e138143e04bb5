"""Workloads that a test plays itself: it has their sockets in its hands."""

import asyncio
import errno
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from flow_contract.coordination import PortRange
from party_agent.runtime.port import Bind, Neighbour, Workload
from tests.runtime.harness import DEADLINE_S, Exit, Harness

TARGET = "/fedflow"
_ANYBODY = 0o666
_PROGRAM = Path(__file__).with_name("puppet.py")


def neighbour(name: str, number: int, *ports: int | tuple[int, int]) -> Neighbour:
    spans = tuple(
        PortRange(first=each, last=each)
        if isinstance(each, int)
        else PortRange(first=each[0], last=each[1])
        for each in ports
    )
    return Neighbour(name=name, number=number, ports=spans)


def with_neighbours(workload: Workload, own: Neighbour, *others: Neighbour) -> Workload:
    return replace(workload, own_name=own.name, neighbours=(*others, own))


class Player(Protocol):
    """One workload, as the test plays it."""

    async def connect(self, host: str, port: int) -> socket.socket:
        """Raises ConnectionRefusedError."""

    async def listen(self, host: str, port: int) -> Callable[[], Any]:
        """Return what accepts: an async function that returns a stream."""


class Puppet:
    """Plays a real program, in whatever place the runtime runs it."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._turn = asyncio.Lock()
        self._mine: list[socket.socket] = []

    async def ask(self, does: str, **said: Any) -> tuple[Any, list[socket.socket]]:
        """Return what the program answers.

        Raises:
            OSError: what it met with.
        """
        async with self._turn:
            return await asyncio.to_thread(self._asked, {"does": does, **said})

    async def result(self, does: str, **said: Any) -> Any:
        return (await self.ask(does, **said))[0]

    async def connect(self, host: str, port: int) -> socket.socket:
        (stream,) = (await self.ask("connect", host=host, port=port))[1]
        return self._kept(stream)

    async def listen(self, host: str, port: int) -> Callable[[], Any]:
        (listener,) = (await self.ask("listen", host=host, port=port))[1]
        self._kept(listener)

        turn = asyncio.Lock()

        async def accept() -> socket.socket:
            # A loop waits for a socket in one place only.
            async with turn:
                stream, _ = await asyncio.get_running_loop().sock_accept(listener)
            return self._kept(stream)

        return accept

    def close(self) -> None:
        for each in (*self._mine, self._stream):
            each.close()

    def _kept(self, made: socket.socket) -> socket.socket:
        made.setblocking(False)  # noqa: FBT003  the socket's own signature
        self._mine.append(made)
        return made

    def _asked(self, asked: dict[str, Any]) -> tuple[Any, list[socket.socket]]:
        self._stream.settimeout(DEADLINE_S)
        self._stream.sendall(json.dumps(asked).encode() + b"\n")
        said, numbers = b"", []
        while not said.endswith(b"\n"):
            part, handed, _, _ = socket.recv_fds(self._stream, 65536, 4)
            if not part:
                raise AssertionError("the puppet has ended")
            said += part
            numbers += handed
        answer = json.loads(said)
        if "error" in answer:
            if answer["errno"] is None:
                raise TimeoutError(answer["error"])
            raise OSError(answer["errno"], answer["error"])
        return answer["result"], [socket.socket(fileno=each) for each in numbers]


def puppet_workload(
    harness: Harness, image_url: str, own: Neighbour, *others: Neighbour
) -> Workload:
    """Return a workload that a `Puppet` plays; `played` takes its call."""
    workload = harness.workload(Exit(code=0), image_url=image_url)
    folder = harness.folder / "puppets" / workload.party_run_id
    folder.mkdir(parents=True)
    shutil.copyfile(_PROGRAM, folder / "puppet.py")
    (folder / "puppet.py").chmod(0o644)
    return with_neighbours(
        replace(
            workload,
            command=("sh", "-c", 'exec python3 -I "$(dirname "$FEDFLOW_API")/puppet.py"'),
            env={**workload.env, "FEDFLOW_API": f"{TARGET}/puppet.sock"},
            binds=(*workload.binds, Bind(source=folder, target=TARGET, is_agents=True)),
        ),
        own,
        *others,
    )


@asynccontextmanager
async def waiting(harness: Harness, workload: Workload) -> AsyncIterator[Callable[[], Any]]:
    """Listen for the puppet's call; yields what returns the `Puppet` once it calls."""
    folder = harness.folder / "puppets" / workload.party_run_id
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{place}/puppet.sock")
    os.chmod("puppet.sock", _ANYBODY, dir_fd=place)
    os.close(place)
    listener.listen()
    listener.setblocking(False)  # noqa: FBT003  the socket's own signature
    puppets: list[Puppet] = []

    async def called() -> Puppet:
        async with asyncio.timeout(DEADLINE_S):
            stream, _ = await asyncio.get_running_loop().sock_accept(listener)
        puppets.append(Puppet(stream))
        return puppets[-1]

    try:
        yield called
    finally:
        listener.close()
        for each in puppets:
            each.close()


async def said(stream: socket.socket, size: int) -> bytes:
    """Return so many bytes, or fewer if the other end says no more."""
    loop = asyncio.get_running_loop()
    found = b""
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < size and (part := await loop.sock_recv(stream, size - len(found))):
            found += part
    return found


async def say(stream: socket.socket, words: bytes) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.get_running_loop().sock_sendall(stream, words)


def break_off(stream: socket.socket) -> None:
    """Close it so that the other end is told of a reset."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.close()


async def is_reset(stream: socket.socket) -> bool:
    try:
        await said(stream, 1)
    except OSError as problem:
        return problem.errno == errno.ECONNRESET
    return False
