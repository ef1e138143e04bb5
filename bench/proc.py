"""CPU and memory of processes, read from /proc."""

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_QUIET_SHARE = 0.25
_QUIET_S = 0.2


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds of these processes and of their children that ended."""
    return sum(_ticks(pid) for pid in pids) / _TICKS_PER_S


def pss_bytes(pids: list[int]) -> int:
    """Return the memory of these processes, pages that they share counted once."""
    return sum(_pss_bytes(pid) for pid in pids)


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below `pid`, itself not."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def executable(pid: int) -> Path:
    """Return the program that a process runs."""
    return Path(f"/proc/{pid}/exe").resolve()


def peers(port: int) -> set[str]:
    """Return the far ends of the TCP connections to a local port, also of those just ended."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, remote, *_ = line.split()
            # A listening socket's far end has port 0.
            if int(local.rpartition(":")[2], 16) == port and not remote.endswith(":0000"):
                found.add(remote)
    return found


def wait_until_quiet(*, at_most_s: float = 3.0) -> None:
    """Return when the machine does little, so that one measurement's end is not the next's load."""
    deadline_s = time.monotonic() + at_most_s
    while time.monotonic() < deadline_s:
        busy, total = _machine_ticks()
        time.sleep(_QUIET_S)
        later_busy, later_total = _machine_ticks()
        if later_busy - busy <= _QUIET_SHARE * (later_total - total):
            return


def _machine_ticks() -> tuple[int, int]:
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name, in brackets, may hold anything.
    return text.rpartition(")")[2].split()


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
