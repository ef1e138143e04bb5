"""Stand-ins for what surrounds the agent: time, a runtime that fails on demand, a server's ear."""

import asyncio
from datetime import UTC, datetime, timedelta

from flow_contract.assignments import Assignment, WorkloadSpec
from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from party_agent.policy.rules import MayLeave
from party_agent.runtime.port import RuntimeUnavailable

EVERYTHING = MayLeave(logs=True, metrics=True, outputs=True)

DEADLINE_S = 60


def make_spec(party_run_id="run1", **changes):
    fields = {
        "party_run_id": party_run_id,
        "run_id": "r" * 32,
        "task_id": "t" * 32,
        "order": 1,
        "federated_id": "hospital-a",
        "rank": 0,
        "parties": ("hospital-a", "hospital-b"),
        "image_url": "trainer:1",
        "command": ("run",),
        "stop_grace_s": 5,
    }
    return WorkloadSpec(**{**fields, **changes})


def make_assignment(party_run_id="run1", desired=Desired.RUNNING, cause=Reason.NONE, **changes):
    return Assignment(spec=make_spec(party_run_id, **changes), desired=desired, cause=cause)


class FakeClock:
    """Stands still until a test advances it."""

    def __init__(self):
        self._elapsed_s = 0.0
        self._sleepers = []
        self.slept_s = []
        self._news = asyncio.Event()

    def now(self):
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self._elapsed_s)

    async def sleep(self, delay_s):
        self.slept_s.append(delay_s)
        sleeper = (self._elapsed_s + delay_s, asyncio.Event())
        self._sleepers.append(sleeper)
        self._news.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, delay_s):
        self._elapsed_s += delay_s
        for wake_at_s, event in self._sleepers:
            if wake_at_s <= self._elapsed_s:
                event.set()

    async def until_waiting(self, delay_s=None):
        """Return once somebody sleeps now, for `delay_s` if that is given."""

        def waits():
            return any(
                not event.is_set() and delay_s in (None, wake_at_s - self._elapsed_s)
                for wake_at_s, event in self._sleepers
            )

        async with asyncio.timeout(DEADLINE_S):
            while not waits():
                self._news.clear()
                await self._news.wait()

    async def until_asleep(self, count=1):
        """Return once `count` sleeps have begun, ever."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.slept_s) < count:
                self._news.clear()
                await self._news.wait()


class Flaky:
    """A runtime whose named verbs fail a given number of times, then work."""

    def __init__(self, runtime, **failures):
        self._runtime = runtime
        self._failures = failures
        self.calls = []
        self.error = RuntimeUnavailable("engine down")

    def __getattr__(self, verb):
        real = getattr(self._runtime, verb)
        if verb not in {"prepare", "launch", "inspect", "stop", "remove"}:
            return real

        async def call(*args):
            self.calls.append(verb)
            if self._failures.get(verb, 0) > 0:
                self._failures[verb] -= 1
                raise self.error
            return await real(*args)

        return call


class OpenGate:
    """Lets everybody pass."""

    async def passes(self, unit):
        return True

    def still_waits(self, unit):
        return False


class Ear:
    """Takes every report off a reporter, as a server would; acknowledges if told to."""

    def __init__(self, reporter, units=None):
        self.reports = []
        self.acknowledging = units is not None
        self._units = units
        self._reporter = reporter
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self):
        self._reporter.reconnected()
        while True:
            batch = await self._reporter.next_batch()
            async with self._news:
                self.reports += batch
                self._news.notify_all()
            if self.acknowledging:
                for report in batch:
                    self._units.acknowledge(report.party_run_id, report.sequence)

    def latest(self, party_run_id="run1"):
        return next(
            (one for one in reversed(self.reports) if one.party_run_id == party_run_id), None
        )

    def states(self, party_run_id="run1"):
        return [one.state for one in self.reports if one.party_run_id == party_run_id]

    async def until(self, state, party_run_id="run1", *, reason=None):
        def heard():
            latest = self.latest(party_run_id)
            return (
                latest is not None
                and latest.state is state
                and (reason is None or latest.reason is reason)
            )

        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(heard)
        return self.latest(party_run_id)

    async def aclose(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def until(condition):
    """For what nobody tells: look again each turn, generously long."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.005)
