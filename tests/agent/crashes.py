"""Agents that die at a chosen call, over an engine, a disk and a server that do not.

Nothing here depends on time or threads: the same crash point is the same schedule every time.
"""

import asyncio
from dataclasses import replace
from enum import StrEnum

from flow_contract.lifecycle import Desired, PartyRunState, is_final, may_report
from flow_contract.reasons import Reason
from party_agent.contact import Contact
from party_agent.gpus import GpuInventory
from party_agent.journal import Journal
from party_agent.policy.site import Site
from party_agent.reporter import Reporter
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.tasks import first_of, for_ever
from party_agent.units import Units
from tests.agent.fakes import DEADLINE_S, FakeClock, until

# Of the event loop: enough for a report to be sent, taken and acknowledged.
TURNS = 100


class When(StrEnum):
    """How far the fatal call got, and what else the agent still does."""

    # It has had no effect.
    BEFORE = "before"
    # It has had all its effect, and nobody learns of it.
    AFTER = "after"
    # It has had no effect yet, and everything else goes on for a while before the agent dies.
    DURING = "during"


class CrashPoint:
    """Lets an agent die at its `at`th call; None lets it live. `calls` names those it made."""

    def __init__(self, at=None, when=When.AFTER):
        self.calls = []
        self.crashed = asyncio.Event()
        self._at = at
        self._when = when

    def __str__(self):
        name = self.calls[self._at - 1] if self._at <= len(self.calls) else "never reached"
        return f"{self._when} call {self._at} ({name}) of {' '.join(self.calls)}"

    async def around(self, name, call):
        if self.crashed.is_set():
            await for_ever()
        self.calls.append(name)
        is_here = len(self.calls) == self._at
        if is_here and self._when is When.DURING:
            for _ in range(TURNS):
                await asyncio.sleep(0)
        if is_here and self._when is not When.AFTER:
            await self._die()
        try:
            return await call()
        finally:
            # Also another's death: what this call found out, nobody will ever know.
            if is_here or self.crashed.is_set():
                await self._die()

    async def _die(self):
        self.crashed.set()
        await for_ever()


class CrashingRuntime:
    """The memory runtime, each verb of which may be an agent's last."""

    name = "memory"

    def __init__(self, memory, point):
        self._memory = memory
        self._point = point
        self.gpu_held_twice = False

    def _check_gpus(self):
        workloads = self._memory.state.workloads.values()
        held = [gpu for entry in workloads for gpu in entry.workload.gpu_ids]
        self.gpu_held_twice |= len(held) != len(set(held))

    def __getattr__(self, verb):
        real = getattr(self._memory, verb)
        if verb not in {"list", "prepare", "launch", "inspect", "stop", "remove"}:
            return real

        async def call(*args):
            async def act():
                result = await real(*args)
                self._check_gpus()
                return result

            return await self._point.around(verb, act)

        return call


class CrashingJournal(Journal):
    """A journal on disk, each write to which may be an agent's last."""

    def __init__(self, path, point):
        super().__init__(path)
        self._point = point

    async def _write(self, *statements):
        async def write():
            # In the caller's thread: a thread of its own would bring chance into the order.
            self._file.write_now(*statements)

        await self._point.around("write", write)


class Server:
    """What the flow server keeps: how far each party run is to go, and what counted of it.

    `react(server, report)` is called with every report that counted: the plot of a scenario.
    """

    def __init__(self, assignments, react):
        self.wanted = {one.spec.party_run_id: one for one in assignments}
        self.reports = {}
        self._seen = {}
        self._react = react
        self.is_away = False

    def assignments(self):
        return [one for name, one in self.wanted.items() if not self._has_ended(name)]

    @property
    def is_done(self):
        return all(self._has_ended(name) for name in self.wanted)

    def want(self, party_run_id, desired, cause=Reason.NONE):
        known = self.wanted[party_run_id]
        if known.desired is not Desired.STOPPED:
            self.wanted[party_run_id] = replace(known, desired=desired, cause=cause)

    def take(self, report):
        key = (report.party_run_id, report.sequence)
        # A number is never used for two different things.
        assert self._seen.setdefault(key, report) == report
        stored = self.reports.get(report.party_run_id)
        if stored is not None and stored.sequence >= report.sequence:
            return
        state = stored.state if stored is not None else PartyRunState.PENDING
        assert report.state is state or may_report(state, report.state), (stored, report)
        self.reports[report.party_run_id] = report
        self._react(self, report)

    def _has_ended(self, party_run_id):
        report = self.reports.get(party_run_id)
        return report is not None and is_final(report.state)


class CrashSite:
    """One site over several lives of its agent."""

    def __init__(self, path):
        self.clock = FakeClock()
        self.state = MemoryState(now=self.clock.now)
        self.truth = {}
        self.state.listeners.append(self._note_end)
        self._path = path

    def _note_end(self, party_run_id):
        self.truth[party_run_id] = self.state.workloads[party_run_id].seen

    async def live(self, server, point):
        """Let an agent live until nothing is left to be done; False if it died before."""
        journal = CrashingJournal(self._path, point)
        journal._file.write_now(("PRAGMA synchronous = OFF", ()))
        runtime = CrashingRuntime(MemoryRuntime(self.state), point)
        reporter = Reporter()
        contact = Contact(journal, self.clock)
        self.units = Units(
            site=Site(),
            runtime=runtime,
            journal=journal,
            reporter=reporter,
            gpus=GpuInventory(ids=("0", "1")),
            clock=self.clock,
            contact=contact,
            outputs=None,
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await first_of(
                    self._die_with(point), self._serve(server, point, reporter, contact)
                )
        finally:
            await self.units.aclose()
            await runtime.aclose()
            assert not runtime.gpu_held_twice
            self.clock.advance(1)
            self.left_in_journal = journal.load()
            journal.close()

    async def _die_with(self, point):
        await point.crashed.wait()
        return False

    async def _serve(self, server, point, reporter, contact):
        await self.units._runtime.open()
        await self.units.open()
        while True:
            if server.is_away:
                await contact.lost()
                self.clock.advance(100)
                await until(lambda: all(unit.is_final for unit in self.units.held))
                server.is_away = False
            await contact.gained()
            reporter.reconnected()
            self.units.assign(server.assignments(), complete=True)
            if await first_of(self._all_done(server), self._converse(server, point, reporter)):
                return True

    async def _all_done(self, server):
        await until(lambda: server.is_done and not self.units.party_run_ids)
        return True

    async def _converse(self, server, point, reporter):
        while not server.is_away:
            for report in await reporter.next_batch():

                async def take(report=report):
                    server.take(report)

                await point.around("report", take)
                self.units.acknowledge(report.party_run_id, report.sequence)
            self.units.assign(server.assignments())
        return False
