"""Packets of one port dropped by the kernel, for as long as this process lives and wants it."""

import asyncio
import shutil
import subprocess
from functools import cache

# The rules must not outlive us, however we end: they go when our end of its input closes.
_GUARD = """
rules() {
  iptables -w "$1" INPUT -i lo -p tcp --dport "$2" -j DROP
  iptables -w "$1" INPUT -i lo -p tcp --sport "$2" -j DROP
}
trap 'rules -D "$0" 2>/dev/null' EXIT
rules -I "$0" && echo dropping && cat >/dev/null
"""
_WITHIN_S = 30.0


@cache
def why_not() -> str:
    """Return why no packets can be dropped here, "" if they can."""
    if shutil.which("iptables") is None:
        return "iptables is not installed"
    asked = subprocess.run(
        ["iptables", "-w", "-n", "-L", "INPUT"], capture_output=True, check=False
    )
    return asked.stderr.decode().strip() if asked.returncode else ""


class Dropped:
    """All packets to and from one port of the loopback interface, between `start` and `end`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._guard: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._guard = await asyncio.create_subprocess_exec(
            "sh", "-c", _GUARD, str(self._port),
            stdin=pipe, stdout=pipe, start_new_session=True,
        )  # fmt: skip
        assert self._guard.stdout is not None
        async with asyncio.timeout(_WITHIN_S):
            said = await self._guard.stdout.readline()
        if said != b"dropping\n":
            raise OSError(f"iptables drops nothing on port {self._port}")

    async def end(self) -> None:
        """Let packets pass again. May come before `start`, and twice."""
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            async with asyncio.timeout(_WITHIN_S):
                await guard.wait()
