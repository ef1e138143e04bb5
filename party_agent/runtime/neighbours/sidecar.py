"""The agent's end of a sidecar: the directory that it mounts, and what it makes for the agent."""

import asyncio
import hmac
import json
import shutil
import socket
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from party_agent.runtime.neighbours import nftables, sidecar_program
from party_agent.runtime.neighbours.addresses import LISTENER_ADDRESS
from party_agent.runtime.neighbours.namespace import taken
from party_agent.runtime.neighbours.nftables import Redirect
from party_agent.runtime.neighbours.sidecar_program import DONE, LENGTH, MAKE
from party_agent.runtime.port import RuntimeUnavailable
from party_agent.runtime.unix_listener import listen_in

# As the container sees the directory.
TARGET = "/fedflow"
PROGRAM = "sidecar.pyz"
SOCKET = "agent.sock"

ARRIVES_S = 30.0
_ANSWERS_S = 30.0
_FILES = {
    "party_agent/__init__.py": "",
    "party_agent/runtime/__init__.py": "",
    "party_agent/runtime/neighbours/__init__.py": "",
    "__main__.py": "from party_agent.runtime.neighbours.sidecar_program import main\nmain()\n",
}
_MAX_WORDS_BYTES = 65536
# The sidecar may be any user in the engine's eyes; nobody else has a way to the directory.
_PRIVATE, _PASSED, _READ = 0o700, 0o755, 0o644


class Failed(Exception):
    """The sidecar could not do what it was asked; `is_missing`: the kernel has no such thing."""

    def __init__(self, message: str, *, is_missing: bool) -> None:
        super().__init__(message)
        self.is_missing = is_missing


def listen(root: Path, party_run_id: str) -> socket.socket:
    """Make the directory, and return the socket in it at which its sidecar will call."""
    folder = root / party_run_id
    root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    folder.chmod(_PASSED)
    draft = folder / f".{PROGRAM}"
    with zipfile.ZipFile(draft, "w") as program:
        for name, text in _FILES.items():
            program.writestr(name, text)
        for module in (nftables, sidecar_program):
            source = Path(str(module.__file__))
            name = f"party_agent/runtime/neighbours/{source.name}"
            program.writestr(name, source.read_text())
    draft.chmod(_READ)
    draft.rename(folder / PROGRAM)
    return listen_in(folder, SOCKET)


def remove(root: Path, party_run_id: str) -> None:
    """Remove the directory; nothing there is fine."""
    shutil.rmtree(root / party_run_id, ignore_errors=True)


def left(root: Path) -> list[str]:
    """Return the party runs that have a directory."""
    with suppress(OSError):
        return sorted(each.name for each in root.iterdir())
    return []


async def arrival(listener: socket.socket, secret: str) -> socket.socket:
    """Return the sidecar's call.

    Raises:
        TimeoutError: it does not come.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ARRIVES_S):
        while True:
            caller, _ = await loop.sock_accept(listener)
            try:
                said = b""
                while len(said) < len(secret):
                    part = await loop.sock_recv(caller, len(secret) - len(said))
                    if not part:
                        break
                    said += part
            except BaseException:
                caller.close()
                raise
            if hmac.compare_digest(said, secret.encode()):
                return caller
            caller.close()


class SidecarThread:
    """What `NamespaceThread` is where the agent can't enter: it asks, and gets sockets."""

    def __init__(self, name: str, sidecar: socket.socket) -> None:
        self._sidecar = sidecar
        self._sidecar.settimeout(_ANSWERS_S)
        self._thread = ThreadPoolExecutor(1, f"sidecar-{name}")

    @property
    def lifeline(self) -> int:
        """The number of a descriptor that is hung up when the sidecar is gone."""
        return self._sidecar.fileno()

    async def enter(
        self, ports: list[int], redirects: list[Redirect], fences: list[tuple[int, int]]
    ) -> socket.socket:
        """Return a listener to which connections to neighbours are redirected.

        Raises:
            Failed: the sidecar can't.
            RuntimeUnavailable: it is gone.
        """
        asked = {
            "address": LISTENER_ADDRESS,
            "ports": ports,
            "redirects": redirects,
            "fences": fences,
        }
        text = json.dumps(asked).encode()

        def work() -> socket.socket:
            made = self._asked(LENGTH.pack(len(text)) + text)
            made.setblocking(False)  # noqa: FBT003  the socket's own signature
            return made

        return await taken(self._thread.submit(work), lambda made: made.close())

    async def make(self) -> socket.socket:
        """Return a new TCP socket of the sandbox's network."""
        return await taken(
            self._thread.submit(lambda: self._asked(MAKE)), lambda made: made.close()
        )

    def release(self) -> None:
        """Let the sidecar, and the thread, go; what was made stays. May be called twice."""
        with suppress(OSError):
            self._sidecar.shutdown(socket.SHUT_RDWR)
        with suppress(RuntimeError):
            self._thread.submit(self._sidecar.close)
        self._thread.shutdown(wait=False)

    def _asked(self, words: bytes) -> socket.socket:
        try:
            self._sidecar.sendall(words)
            said, numbers, _, _ = socket.recv_fds(self._sidecar, 1, 1)
            if said == DONE and numbers:
                return socket.socket(fileno=numbers[0])
            if not said:
                raise RuntimeUnavailable("the workload's sidecar is gone")
            why = self._why()
        except OSError as problem:
            raise RuntimeUnavailable(f"the workload's sidecar is gone: {problem}") from problem
        raise Failed(str(why.get("error", "")), is_missing=bool(why.get("missing")))

    def _why(self) -> dict[str, object]:
        words = b""
        while len(words) < LENGTH.size or len(words) < LENGTH.size + _length(words):
            part = self._sidecar.recv(_MAX_WORDS_BYTES)
            if not part or len(words) > _MAX_WORDS_BYTES:
                return {}
            words += part
        found: dict[str, object] = json.loads(words[LENGTH.size :])
        return found


def _length(words: bytes) -> int:
    try:
        return int(LENGTH.unpack_from(words)[0])
    except struct.error:
        return 0
