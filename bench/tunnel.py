"""One connection between two sites, agent to relay to agent, beside ssh through a hub.

Both sides run on this machine in turns, between the same two ends: a workload that takes bytes or
sends them back, as a run's coordinator, and this process, which dials as the party would. Both are
encrypted all the way.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import far_end, proc
from bench.figures import median, percentile, spread
from bench.flows import data_of, stop
from bench.hub import Hub, open_hub, why_not
from bench.near_end import Address, await_far_end, round_trips_s, transfer_s
from bench.processes import BenchError, Server
from bench.secure import SecureServer, secure_server
from bench.table import Row

TRANSFER_BYTES = 500_000_000
ROUND_TRIPS, ROUND_TRIP_BYTES = 2000, 100
ROUNDS = 7
GOAL_RATE, GOAL_ROUND_TRIP = 2.0, 1.0
PORT = 7000
NEAR, FAR = "near", "far"
_GB, _MB = 1e9, 1e6
# The party only says where it would dial: this process dials there.
_SAY = "import sys, time; print(sys.argv[1], flush=True); time.sleep(86400)"


@dataclass(kw_only=True)
class _Way:
    """One way between the two ends, and what was measured on it."""

    address: Address
    rates: list[float] = field(default_factory=list)
    round_trips_s: list[float] = field(default_factory=list)
    middle_s_per_gb: list[float] = field(default_factory=list)
    ends_s_per_gb: list[float] = field(default_factory=list)


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on tunnels; without ssh those of tunnels alone."""
    with contextlib.ExitStack() as stack:
        secure = secure_server(stack, server, folder)
        agents = [secure.site(party).pid for party in (NEAR, FAR)]
        with _run_of_two(secure) as (near, far):
            ways = {"tunnel": _Way(address=near)}
            hub = None
            if problem := why_not():
                print(f"no ssh to measure against: {problem}", file=sys.stderr)
            else:
                hub = open_hub(stack, folder)
                ways["ssh"] = _Way(address=hub.forwarded(far))
            ways["loopback"] = _Way(address=far)
            for number in range(ROUNDS + 1):
                # The first round warms connections and caches up; it does not count.
                for name, way in ways.items():
                    proc.wait_until_quiet()
                    _round(way, name, secure, hub, agents, counts=number > 0)
    return list(_rows(ways))


@contextlib.contextmanager
def _run_of_two(secure: SecureServer) -> Iterator[tuple[Address, Address]]:
    """Yield where the party dials its coordinator, and where that really listens."""
    sdk = secure.sdk
    made = sdk.template.create(
        "tunnel",
        "none:1",
        "/",
        [sys.executable, "-c", _SAY, "{coordinator}"],
        coordinator={
            "command": [sys.executable, far_end.__file__, "{address}", str(PORT)],
            "ports": [PORT],
            "party": FAR,
        },
    )
    parties = [{"federated_id": NEAR, "federated_data": ""}]
    task = sdk.task.create("tunnel", data_of(made)["template_id"], "", parties)
    task_id = str(data_of(task)["task_id"])
    data_of(sdk.task.start(task_id))
    near = (_first_word(secure, task_id, NEAR), PORT)
    far = (_first_word(secure, task_id, "coordinator"), PORT)
    await_far_end(near)
    try:
        yield near, far
    finally:
        stop(sdk, task_id)


def _first_word(secure: SecureServer, task_id: str, party: str) -> str:
    for line in secure.sdk.task.logs(task_id, party=party, follow=True):
        return line.text.split()[0]
    raise BenchError(f"{party} said nothing: {secure.sdk.task.get(task_id)}")


def _round(
    way: _Way, name: str, secure: SecureServer, hub: Hub | None, agents: list[int], *, counts: bool
) -> None:
    def middle_s() -> float:
        if name == "ssh" and hub is not None:
            return hub.cpu_s()
        return proc.cpu_s([secure.child.pid])

    before, ends_before = middle_s(), proc.cpu_s(agents)
    took_s = transfer_s(way.address, TRANSFER_BYTES)
    after, ends_after = middle_s(), proc.cpu_s(agents)
    proc.wait_until_quiet()
    trips_s = round_trips_s(way.address, ROUND_TRIPS, ROUND_TRIP_BYTES)
    if counts:
        way.rates.append(TRANSFER_BYTES / _MB / took_s)
        way.middle_s_per_gb.append((after - before) / TRANSFER_BYTES * _GB)
        way.ends_s_per_gb.append((ends_after - ends_before) / TRANSFER_BYTES * _GB)
        way.round_trips_s += trips_s


def _rows(ways: dict[str, _Way]) -> Iterator[Row]:
    tunnel, loopback, ssh = ways["tunnel"], ways["loopback"], ways.get("ssh")
    yield Row(
        measure=f"tunnel between two sites, one transfer of {TRANSFER_BYTES / _MB:.0f} MB",
        value=spread(tunnel.rates, "MB/s"),
        reference="" if ssh is None else f"ssh -R + -L over a hub: {spread(ssh.rates, 'MB/s')}",
        ratio=None if ssh is None else median(tunnel.rates) / median(ssh.rates),
        goal=GOAL_RATE,
        more_is_better=True,
    )
    yield Row(
        measure=f"the same: round trip of {ROUND_TRIP_BYTES} bytes, p50",
        value=_p50_us(tunnel),
        reference="" if ssh is None else f"ssh -R + -L over a hub: {_p50_us(ssh)}",
        ratio=None if ssh is None else _p50(tunnel) / _p50(ssh),
        goal=GOAL_ROUND_TRIP,
    )
    yield Row(
        measure="the same: CPU of the relay, with all else that the server does",
        value=spread(tunnel.middle_s_per_gb, "s/GB"),
        reference=""
        if ssh is None
        else f"the hub's sshd, which also decrypts: {spread(ssh.middle_s_per_gb, 's/GB')}",
    )
    yield Row(
        measure="the same: CPU of both agents",
        value=spread(tunnel.ends_s_per_gb, "s/GB"),
    )
    yield Row(
        measure="the same ends on plain loopback",
        value=f"{spread(loopback.rates, 'MB/s')}, p50 {_p50_us(loopback)}",
    )


def _p50(way: _Way) -> float:
    return percentile(way.round_trips_s, 50)


def _p50_us(way: _Way) -> str:
    return f"{_p50(way) * 1e6:.0f} (p99 {percentile(way.round_trips_s, 99) * 1e6:.0f}) µs"
