"""A thousand idle agents, beside a thousand idle streams to a bare grpc.aio server."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from bench import proc
from bench.processes import Server, child
from bench.table import Row

AGENTS = 1_000
IDLE_S = 60.0
# What the server does without agents, to be told apart from what they cost.
BASELINE_S = 20.0
SETTLE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Processor time and memory of some processes, and of the bare server, over a while."""

    seconds: float
    cpu_s: dict[str, float]
    pss_bytes: dict[str, int]

    def share(self, name: str) -> float:
        """Return the share of one core."""
        return self.cpu_s[name] / self.seconds


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on idle agents."""
    with contextlib.ExitStack() as stack:
        bare = child(stack, "bare", ["-m", "bench.bare"], folder)
        address = bare.hear()["address"]
        before = _watch(server, bare.pid, BASELINE_S)
        for name, module, target in (
            ("bare-clients", "bench.bare_clients", [address]),
            ("sites", "bench.sites", [server.address, "idle"]),
        ):
            started = child(stack, name, ["-m", module, *target, str(AGENTS)], folder)
            started.hear()
        # Connecting leaves work behind: acknowledgements, PostgreSQL's own housekeeping.
        time.sleep(SETTLE_S)
        proc.wait_until_quiet()
        during = _watch(server, bare.pid, IDLE_S)
    return _rows(before, during)


def _watch(server: Server, bare_pid: int, seconds: float) -> Usage:
    def pids() -> dict[str, list[int]]:
        return {
            "server": [server.child.pid],
            "postgres": proc.descendants(server.child.pid),
            "bare": [bare_pid],
        }

    began_s = time.monotonic()
    began = {name: proc.cpu_s(found) for name, found in pids().items()}
    time.sleep(seconds)
    used = {name: proc.cpu_s(found) - began[name] for name, found in pids().items()}
    return Usage(
        seconds=time.monotonic() - began_s,
        cpu_s=used,
        pss_bytes={name: proc.pss_bytes(found) for name, found in pids().items()},
    )


def _rows(before: Usage, during: Usage) -> list[Row]:
    rows = []
    for name, shown in (("server", "server"), ("postgres", "its PostgreSQL")):
        rows.append(
            Row(
                measure=f"{AGENTS} idle agents for {IDLE_S:.0f} s: CPU of the {shown}"
                if name == "server"
                else f"the same: CPU of {shown}",
                value=f"{_micro(during, before, name):.1f} µs per agent and second; "
                f"{during.share(name):.2%} of a core, {before.share(name):.2%} without agents",
                reference=f"bare idle streams: {_micro(during, before, 'bare'):.1f} µs"
                if name == "server"
                else "",
                ratio=None,
            )
        )
    for name, shown in (("server", "the server"), ("postgres", "its PostgreSQL")):
        rows.append(
            Row(
                measure=f"the same: memory of {shown}",
                value=f"{_kib(during, before, name):.0f} KiB per agent; "
                f"{during.pss_bytes[name] / 2**20:.0f} MiB in all, "
                f"{before.pss_bytes[name] / 2**20:.0f} MiB without agents",
                reference=f"bare idle streams: {_kib(during, before, 'bare'):.0f} KiB each"
                if name == "server"
                else "",
                ratio=_kib(during, before, name) / _kib(during, before, "bare")
                if name == "server"
                else None,
            )
        )
    return rows


def _micro(during: Usage, before: Usage, name: str) -> float:
    return (during.share(name) - before.share(name)) * 1e6 / AGENTS


def _kib(during: Usage, before: Usage, name: str) -> float:
    return (during.pss_bytes[name] - before.pss_bytes[name]) / 1024 / AGENTS
