"""A thread inside a sandbox's network namespace, which makes sockets there.

It never comes back: no work but that of this one sandbox is ever given to it. What it made is
used by everybody else, in whatever namespace they are.
"""

import asyncio
import ctypes
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from party_agent.runtime.neighbours import nftables
from party_agent.runtime.neighbours.addresses import LISTENER_ADDRESS, original
from party_agent.runtime.neighbours.nftables import Redirect
from party_agent.runtime.port import Neighbour

T = TypeVar("T")
Make = Callable[[], Awaitable[socket.socket]]

_CLONE_NEWNET = 0x40000000
# Before it has become the pause program, a new process has its starter's environment.
_BECOMES_S = 2.0
_BECOMES_PAUSE_S = 0.005
_SO_ORIGINAL_DST = 80
_SOCKET_ADDRESS_BYTES = 16
# CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN
_NEEDED = (12, 19, 21)


class NotHere(Exception):
    """The sandbox's process is not one that this machine's /proc shows us."""


def may_enter() -> bool:
    """Say whether this process has the rights to enter other namespaces and change them."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    effective = next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0
    )
    return all(effective >> each & 1 for each in _NEEDED)


def find(pid: int, mark: str) -> tuple[int, int | None]:
    """Return descriptors of a process's network namespace and of itself; the caller closes them.

    `pid` is the engine's number of it; NAME=VALUE in its environment, `mark`, proves it. The
    second is readable once the process has ended, and None on kernels that have no such thing.

    Raises:
        NotHere: that process is none of this machine's, or has ended.
    """
    if not mark:
        raise NotHere("the sandbox's process has no mark")
    wanted = mark.encode()
    give_up_at = time.monotonic() + _BECOMES_S
    while not _is_marked(pid, wanted):
        if time.monotonic() > give_up_at or not Path(f"/proc/{pid}").exists():
            raise NotHere(f"process {pid} is not the sandbox's")
        time.sleep(_BECOMES_PAUSE_S)
    life = _pid_descriptor(pid)
    try:
        found = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        _close(life)
        raise NotHere(f"process {pid}: {problem.strerror}") from problem
    # Asked again: had the number passed to another process, it would have no such mark. And
    # never in our own network, whatever the engine says.
    ours = os.stat("/proc/self/ns/net")  # noqa: PTH116  of a link's target, as fstat is
    if not _is_marked(pid, wanted) or os.fstat(found).st_ino == ours.st_ino:
        os.close(found)
        _close(life)
        raise NotHere(f"process {pid} is not the sandbox's")
    return found, life


def meant(names: Mapping[str, Neighbour], stream: socket.socket) -> tuple[str, int] | None:
    """Return whom a redirected connection was to reach; None: the listener itself, or nobody.

    Raises:
        OSError: the kernel knows of no such connection.
    """
    said = stream.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, _SOCKET_ADDRESS_BYTES)
    address, port = original(said)
    neighbour = names.get(address)
    if neighbour is None or not any(port in each for each in neighbour.ports):
        return None
    return neighbour.name, port


class NamespaceThread:
    """The thread. `enter` comes first; `release` ends it."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, f"netns-{name}")

    async def enter(
        self,
        namespace: int,
        ports: list[int],
        redirects: list[Redirect],
        fences: list[tuple[int, int]],
    ) -> socket.socket:
        """Enter, and return a listener to which connections to neighbours are redirected.

        Raises:
            nftables.Missing: this kernel can't redirect.
            OSError: it refused.
        """

        def work() -> socket.socket:
            _setns(namespace)
            return open_listener(ports, redirects, fences)

        return await taken(self._thread.submit(work), lambda made: made.close())

    async def make(self) -> socket.socket:
        """Return a new TCP socket of the namespace."""
        return await taken(self._thread.submit(_stream), lambda made: made.close())

    def release(self) -> None:
        """Let the thread end; what it made stays. May be called twice."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def open_listener(
    ports: list[int], redirects: list[Redirect], fences: list[tuple[int, int]]
) -> socket.socket:
    """Listen in the namespace of this thread, and have the kernel redirect to it."""
    listener = nftables.listen(LISTENER_ADDRESS, ports)
    try:
        nftables.install(redirects, fences, listener.getsockname())
    except BaseException:
        listener.close()
        raise
    return listener


def taken(work: "Future[T]", drop: Callable[[T], None]) -> Awaitable[T]:
    """Wait for a thread's work; what comes of it after a cancellation is dropped."""

    async def wait() -> T:
        try:
            return await asyncio.shield(asyncio.wrap_future(work))
        except asyncio.CancelledError:
            if not work.cancel():
                work.add_done_callback(lambda done: _drop(done, drop))
            raise

    return wait()


def _drop(work: "Future[T]", drop: Callable[[T], None]) -> None:
    if not work.cancelled() and work.exception() is None:
        drop(work.result())


def _pid_descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _close(number: int | None) -> None:
    if number is not None:
        os.close(number)


def _stream() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _setns(namespace: int) -> None:
    # os.setns is there from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
