"""One party run's own loop: step, journal, report, until it can be forgotten.

Nothing is reported before it is journaled, and no step begins before the last one's outcome
is: that is what lets a restarted agent go on where this one was killed.
"""

import asyncio
from dataclasses import replace

import structlog

from flow_contract import ids
from flow_contract.coordination import Traffic
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from party_agent import endings, limits, start_order
from party_agent.controller import retry_delay_s
from party_agent.policy.site import names_data
from party_agent.tasks import first_of
from party_agent.unit import SelfReport, StopStage, Unit, report_of, with_desired
from party_agent.unit_tools import Tools
from party_agent.words import Words

# Exits are told by the runtime; this catches one that was not.
CHECK_RUNNING_S = 60.0

# A pull may tell more than anyone wants to read.
PROGRESS_EVERY_S = 1.0

# While its first instruction may have run, or is about to.
_REPORTING = (PartyRunState.PREPARED, PartyRunState.LAUNCHING, PartyRunState.RUNNING)

log = structlog.get_logger()


class UnitLoop:
    """Owns one unit; `removed` is set when the runtime holds nothing of it any more.

    Invariant: `unit` is changed here only, and what the journal lacks of it is written before
    the next step.
    """

    def __init__(self, unit: Unit, tools: Tools, *, journaled: Unit | None) -> None:
        """Take `unit` over; `journaled` is what the journal holds of it."""
        self.unit = unit
        self.removed = asyncio.Event()
        if unit.removed:
            self.removed.set()
        self._tools = tools
        self._saved = journaled
        self._wake = asyncio.Event()
        self._stop_asked = asyncio.Event()
        if unit.desired is Desired.STOPPED:
            self._stop_asked.set()
        self._is_checked = False
        self._told: tuple[Reason, str] | None = None
        self._was_told = asyncio.Event()
        self._says_again = False
        self._words = Words(unit.says)

    def hear(self, says: SelfReport) -> None:
        """Take what the workload says of itself; it is passed on soon, and not at every word."""
        if self._words.hear(says):
            self.wake()

    def want(self, desired: Desired, cause: Reason) -> None:
        """Take the server's wish over; one that would move backwards is ignored."""
        self.unit = with_desired(self.unit, desired, cause)
        if self.unit.desired is Desired.STOPPED:
            self._stop_asked.set()
        self.wake()

    def abandon(self) -> None:
        """Stop it, remove it, and expect nobody to acknowledge its last report."""
        self.unit = replace(self.unit, abandoned=True)
        self.want(Desired.STOPPED, Reason.STOPPED_BY_USER)

    def acknowledge(self, sequence: int) -> None:
        """Note that the server has stored the report of `sequence`."""
        self.unit = replace(self.unit, acked=max(self.unit.acked, sequence))
        if self.unit.is_final:
            self.wake()

    def say_again(self) -> None:
        """Report where it is once more: meanwhile the server may have given it up for lost."""
        self._says_again = not self.unit.is_final
        self.wake()

    def wake(self) -> None:
        """Look again: something outside has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Step until done. A defect in a step is logged and tried again, never an end."""
        while True:
            self._wake.clear()
            try:
                if self.unit.is_done and self.unit == self._saved:
                    await self._forget()
                    return
                delay_s = await self._turn()
            except Exception:  # the unit's supervisor: the others must go on
                incident = ids.new_id()
                log.exception(
                    "unit_step_failed", party_run_id=self.unit.party_run_id, incident=incident
                )
                delay_s = self._survive(incident)
            if delay_s != 0:
                await self._wait(delay_s)

    async def _turn(self) -> float | None:
        """Take one step; return how long to wait for the next, None for until woken."""
        self._keep_limits()
        if self.unit.status.state in _REPORTING:
            may_leave = self._tools.rules().may_leave
            await self._tools.api.serve(self.unit.spec, self.hear, may_leave)
        next_word_s = self._pass_on()
        self._take_traffic(self._tools.tunnels.traffic(self.unit.party_run_id))
        await self._take_progress()
        # An assignment that nothing has come of yet is the server's to repeat.
        is_untouched = self._saved is None and self.unit.status.state is PartyRunState.PENDING
        if (self.unit != self._saved or self._says_again) and not is_untouched:
            await self._record()
        before = self.unit
        after = await self._step(self._with_gpus(before))
        # What came from outside meanwhile stays.
        self.unit = replace(
            self.unit,
            status=after.status,
            stop_stage=after.stop_stage,
            sources=after.sources,
            waits_since=after.waits_since,
            removed=after.removed,
            failures=after.failures,
        )
        if self.unit.is_final:
            self._pass_on()
            self._take_traffic(await self._tools.tunnels.end(self.unit.party_run_id))
        if self.unit != self._saved:
            await self._record()
        if self.unit.failures:
            return retry_delay_s(self.unit.failures)
        if self.unit != before or self.unit.is_done:
            return 0
        if before.status.state is PartyRunState.RUNNING:
            return min(next_word_s, self._until_limit_s())
        return self._patience_s()

    def _patience_s(self) -> float | None:
        """Return how long the unit may go on to wait, None for any time."""
        starts_in_s = start_order.left_s(self.unit, self._tools.clock.now())
        left = (self._tools.gate.left_s(self.unit), starts_in_s)
        return min((left_s for left_s in left if left_s is not None), default=None)

    def _take_traffic(self, counted: tuple[Traffic, ...] | None) -> None:
        self.unit = self.unit if counted is None else replace(self.unit, traffic=counted)

    async def _take_progress(self) -> None:
        if self.unit.is_to_stop and self.unit.stop_stage is StopStage.NONE:
            # Who is stopped because all is done can say so now, and never again.
            await self._tools.tunnels.ask_progress(self.unit.party_run_id)
        said = self._tools.tunnels.peer_progress(self.unit.party_run_id)
        if said is not None:
            self.unit = replace(self.unit, peer_progress=said)

    def _pass_on(self) -> float:
        """Take the workload's newest word over, or return how long until that may be done."""
        now = self._tools.clock.now()
        left_s = self._words.left_s(now)
        if left_s is None or (left_s and not self.unit.is_final):
            return CHECK_RUNNING_S if left_s is None else left_s
        self._words.passed_on(now)
        self.unit = replace(self.unit, says=self._words.newest)
        return CHECK_RUNNING_S

    def _keep_limits(self) -> None:
        limit = self._first_limit()
        if limit is not None and limit.at <= self._tools.clock.now():
            log.info("unit_cut", party_run_id=self.unit.party_run_id, reason=limit.reason.value)
            self.unit = replace(self.unit, cut=limit.reason)

    def _until_limit_s(self) -> float:
        limit = self._first_limit()
        if limit is None:
            return CHECK_RUNNING_S
        left_s = (limit.at - self._tools.clock.now()).total_seconds()
        return min(CHECK_RUNNING_S, max(0, left_s))

    def _first_limit(self) -> limits.Limit | None:
        return limits.first_limit(
            self.unit,
            self._tools.contact.lost_at,
            max_run_time_s=self._tools.rules().limits.max_run_time_s,
        )

    async def _step(self, unit: Unit) -> Unit:
        if unit.status.reason is Reason.WAITING_FOR_GPU and unit.desired is not Desired.STOPPED:
            return await self._check_once(unit)
        if self._stop_asked.is_set() or not _may_last(unit):
            return await self._tools.controller.step(unit, self._tell)
        return await first_of(
            self._tools.controller.step(unit, self._tell), self._interruption(), self._narrate()
        )

    async def _check_once(self, unit: Unit) -> Unit:
        # Who could not run anyway must not wait for GPUs first to be told so. The wait itself is
        # told before that: a disk may take its time.
        if self._is_checked or self._saved is None:
            return unit
        self._is_checked = True
        return await first_of(self._tools.controller.check(unit), self._interruption())

    def _with_gpus(self, unit: Unit) -> Unit:
        if unit.status.state is not PartyRunState.PENDING or unit.status.gpu_ids:
            return unit
        held = self._tools.gpus.held(unit.party_run_id)
        now = self._tools.clock.now()
        if held:
            unit = endings.noted(unit, Reason.NONE, "", now)
            return replace(unit, status=replace(unit.status, gpu_ids=held))
        why = self._tools.gpus.why_waiting(unit.party_run_id)
        return endings.noted(unit, Reason.WAITING_FOR_GPU, why, now) if why else unit

    async def _record(self) -> None:
        has_moved = self._saved is None or self.unit.status != self._saved.status
        has_said = self._saved is not None and _words(self.unit) != _words(self._saved)
        is_news = has_moved or has_said or self._says_again
        self._says_again = False
        if is_news:
            # Counted before the write: a sequence number must not be used twice.
            self.unit = replace(self.unit, sequence=self.unit.sequence + 1)
        unit = self.unit
        await self._tools.journal.save(unit)
        self._saved = unit
        if is_news:
            self._tools.reporter.offer(report_of(unit))
        if has_moved:
            log.info(
                "unit_moved",
                party_run_id=unit.party_run_id,
                state=unit.status.state.value,
                reason=unit.status.reason.value,
            )
        if unit.removed and not self.removed.is_set():
            await self._tools.api.end(unit.party_run_id)
            self.removed.set()
            self._tools.gpus.release(unit.party_run_id)
            self._tools.gpus_freed()

    async def _forget(self) -> None:
        await self._tools.journal.forget(self.unit, self._tools.clock.now())
        self._tools.reporter.withdraw(self.unit.party_run_id)
        log.debug("unit_forgotten", party_run_id=self.unit.party_run_id)

    def _tell(self, reason: Reason, message: str) -> None:
        self._told = (reason, message)
        self._was_told.set()

    async def _narrate(self) -> Unit:
        while True:
            await self._was_told.wait()
            self._was_told.clear()
            if self._told is not None:
                self.unit = endings.noted(self.unit, *self._told, self._tools.clock.now())
            if self.unit != self._saved:
                await self._record()
            await self._tools.clock.sleep(PROGRESS_EVERY_S)

    async def _interruption(self) -> Unit:
        await self._stop_asked.wait()
        return self.unit

    def _survive(self, incident: str) -> float:
        failures = self.unit.failures + 1
        if not self.unit.is_final:
            message = f"The agent hit a defect and tries again; its log knows it as {incident}."
            now = self._tools.clock.now()
            self.unit = endings.noted(self.unit, Reason.RUNTIME_ERROR, message, now)
        self.unit = replace(self.unit, failures=failures)
        return retry_delay_s(failures)

    async def _wait(self, delay_s: float | None) -> None:
        if delay_s is None:
            await self._wake.wait()
        else:
            await first_of(self._woken(), self._tools.clock.sleep(delay_s))

    async def _woken(self) -> None:
        await self._wake.wait()


def _words(unit: Unit) -> tuple[object, ...]:
    """Return what is said without anything having moved."""
    return unit.says, unit.traffic, unit.peer_progress


def _may_last(unit: Unit) -> bool:
    """Say whether a stop must not wait for the unit's next step: a pull, or a dead disk."""
    looks = unit.status.state in (PartyRunState.PENDING, PartyRunState.PREPARED)
    return unit.status.state is PartyRunState.PREPARING or (looks and names_data(unit.spec))
