"""An agent killed at every single call, and what its successor makes of it.

Each plot is played once without a crash to count the calls to runtime, journal and server;
then once more for each of them, with an agent that dies just before or just after it.
"""

import random
from dataclasses import dataclass, field

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, OnDisconnect, Resources
from tests.agent.crashes import CrashPoint, CrashSite, Server, When
from tests.agent.fakes import make_assignment

S = PartyRunState
TRAINED = ("exit", "7", "on", "trained")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What happens to one party run, or to two, and how it must end whoever dies when.

    `meanwhile` happens at the site while no agent lives. `ends` are (state, reason, exit code)
    by party run; several are given where a death can hide the cause from the next agent.
    """

    spec: dict = field(default_factory=dict)
    runs: tuple[str, ...] = ("run1",)
    at_prepared: Desired = Desired.RUNNING
    at_running: str = ""
    meanwhile: str = ""
    ends: tuple = ()
    launches: int = 1

    def react(self, site):
        def react(server, report):
            if report.state is S.PREPARED:
                cause = (
                    Reason.START_ROLLED_BACK if self.at_prepared is Desired.STOPPED else Reason.NONE
                )
                server.want(report.party_run_id, self.at_prepared, cause)
            elif report.state is S.RUNNING:
                self.happen(self.at_running, site, server, report.party_run_id)

        return react

    def happen(self, what, site, server, party_run_id="run1"):
        match what:
            case "it ends":
                site.state.fire("trained")
            case "time passes":
                site.clock.advance(100)
            case "the server goes away":
                server.is_away = True
            case "it is stopped":
                server.want(party_run_id, Desired.STOPPED, Reason.STOPPED_BY_USER)


PLOTS = {
    "it ends by itself": Plot(
        spec={"command": TRAINED},
        at_running="it ends",
        ends=((S.FAILED, Reason.EXIT_NONZERO, 7),),
    ),
    "it ends while no agent is there": Plot(
        spec={"command": TRAINED},
        at_running="it ends",
        meanwhile="it ends",
        ends=((S.FAILED, Reason.EXIT_NONZERO, 7),),
    ),
    "it ends at once": Plot(
        spec={"command": ("exit", "0")}, ends=((S.SUCCEEDED, Reason.COMPLETED, 0),)
    ),
    "it is stopped": Plot(
        at_running="it is stopped", ends=((S.STOPPED, Reason.STOPPED_BY_USER, 143),)
    ),
    "it is stopped while no agent is there": Plot(
        at_running="it is stopped",
        meanwhile="it is stopped",
        # A stop that comes before the launch leaves nothing to launch.
        launches=-1,
        ends=(
            (S.STOPPED, Reason.STOPPED_BY_USER, 143),
            (S.STOPPED, Reason.STOPPED_BY_USER, None),
        ),
    ),
    "it does not listen to its stop": Plot(
        spec={"command": ("stubborn",), "stop_grace_s": 0},
        at_running="it is stopped",
        ends=((S.STOPPED, Reason.STOPPED_BY_USER, 137),),
    ),
    "the start is rolled back": Plot(
        at_prepared=Desired.STOPPED,
        launches=0,
        ends=((S.STOPPED, Reason.START_ROLLED_BACK, None),),
    ),
    "it takes too long": Plot(
        spec={"run_timeout_s": 10},
        at_running="time passes",
        meanwhile="time passes",
        ends=((S.FAILED, Reason.TIMED_OUT, 143),),
    ),
    "the site loses its server": Plot(
        spec={"on_disconnect": OnDisconnect(stop_after_s=10)},
        at_running="the server goes away",
        ends=((S.STOPPED, Reason.SITE_DISCONNECTED, 143),),
    ),
    "the site has no such image": Plot(
        spec={"command": ("refuse", "image_not_found")},
        launches=0,
        ends=((S.REFUSED, Reason.IMAGE_NOT_FOUND, None),),
    ),
    "the command does not exist": Plot(
        spec={"command": ("missing",)},
        launches=0,
        ends=((S.FAILED, Reason.COMMAND_NOT_FOUND, 127),),
    ),
    "it vanishes": Plot(
        spec={"command": ("vanish", "on", "trained")},
        at_running="it ends",
        ends=((S.FAILED, Reason.WORKLOAD_VANISHED, None),),
    ),
    "two take turns on the GPUs": Plot(
        spec={"command": TRAINED, "resources": Resources(gpus=GpuRequest(count=2))},
        runs=("run1", "run2"),
        at_running="it ends",
        ends=((S.FAILED, Reason.EXIT_NONZERO, 7),),
    ),
}


async def play(plot, path, points):
    """Live one life per crash point, then one to the end; return that one's calls."""
    site = CrashSite(path)
    assignments = [
        make_assignment(name, Desired.PREPARED, order=order, **plot.spec)
        for order, name in enumerate(plot.runs)
    ]
    server = Server(assignments, plot.react(site))
    for point in points:
        if not await site.live(server, point):
            plot.happen(plot.meanwhile, site, server)
    last = CrashPoint()
    assert await site.live(server, last)
    check(plot, site, server)
    return last.calls


def check(plot, site, server):
    assert site.state.workloads == {}
    assert site.left_in_journal == []
    assert [site.units._gpus.held(name) for name in plot.runs] == [()] * len(plot.runs)
    for name in plot.runs:
        end = server.reports[name]
        assert (end.state, end.reason, end.exit_code) in plot.ends
        launches = site.state.starts.get(name, 0)
        assert launches == plot.launches or (plot.launches < 0 and launches <= 1)
        truth = site.truth.get(name)
        if truth is not None and truth.exit_code is not None:
            assert (end.started_at, end.finished_at, end.exit_code) == (
                truth.started_at,
                truth.finished_at,
                truth.exit_code,
            )


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("name", PLOTS)
async def test_a_death_at_any_call_changes_no_end(tmp_path, name, when):
    plot = PLOTS[name]
    calls = await play(plot, tmp_path / "whole", [])
    for at in range(1, len(calls) + 1):
        point = CrashPoint(at, when)
        try:
            await play(plot, tmp_path / f"{at}", [point])
        except (AssertionError, TimeoutError, KeyError) as problem:
            raise AssertionError(f"{name}: crashed {point}") from problem


@pytest.mark.parametrize("seed", range(40))
async def test_death_after_death_changes_no_end(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311  a schedule that can be played again
    name = chance.choice(sorted(PLOTS))
    points = [
        CrashPoint(chance.randint(1, 20), chance.choice(list(When)))
        for _ in range(chance.randint(2, 6))
    ]
    try:
        await play(PLOTS[name], tmp_path, points)
    except (AssertionError, TimeoutError, KeyError) as problem:
        where = "; then ".join(str(point) for point in points)
        raise AssertionError(f"{name}: crashed {where}") from problem
