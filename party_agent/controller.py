"""One step of one party run: one operation of the runtime at most, then a new unit.

It never loops and never sleeps; who calls it does. Each step may run twice: a crash can come
after the operation and before the journal, and the next step finds what the first one left.
A step that returns an equal unit has nothing to do until something outside changes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import structlog

from flow_contract.lifecycle import Desired, PartyRunEvent, PartyRunState
from flow_contract.reasons import Reason
from party_agent import endings, start_order
from party_agent.gate import Gate
from party_agent.policy import decide
from party_agent.runtime.port import (
    Observation,
    Phase,
    Progress,
    Runtime,
    RuntimeRefused,
    RuntimeUnavailable,
    Workload,
)
from party_agent.tunnel import members
from party_agent.tunnel.port import NoTunnels, Tunnels
from party_agent.unit import StopStage, Unit

FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0

log = structlog.get_logger()


def retry_delay_s(failures: int) -> float:
    """Return how long to wait after `failures` calls in a row that nobody answered."""
    return min(MAX_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures - 1, 10))


class Controller:
    """Steps units. `make_workload` raises RuntimeRefused where the site's rules forbid one."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        make_workload: Callable[[Unit], Awaitable[Workload]],
        now: Callable[[], datetime],
        gate: Gate,
        tunnels: Tunnels | None = None,
    ) -> None:
        self._runtime = runtime
        self._tunnels = tunnels or NoTunnels()
        self._gate = gate
        self._make_workload = make_workload
        self._now = now

    async def check(self, unit: Unit) -> Unit:
        """Return the unit as it is, or refused by the site's rules; the runtime is not asked."""
        try:
            await self._make_workload(unit)
        except RuntimeRefused as refusal:
            return endings.refused(unit, refusal, self._now())
        return unit

    async def step(self, unit: Unit, progress: Progress) -> Unit:
        """Return the unit after its next operation; `progress` hears of a slow one's stages."""
        try:
            return await self._act(unit, progress)
        except RuntimeUnavailable as error:
            log.warning("runtime_unavailable", party_run_id=unit.party_run_id, error=str(error))
            return endings.unanswered(unit, self._now())
        except RuntimeRefused as refusal:
            if unit.is_final:
                log.warning(
                    "removal_refused", party_run_id=unit.party_run_id, error=refusal.message
                )
                return endings.unanswered(unit, self._now())
            return endings.refused(unit, refusal, self._now())

    async def _act(self, unit: Unit, progress: Progress) -> Unit:  # noqa: PLR0911  one per state
        if unit.is_final:
            return await self._remove(unit)
        if unit.is_to_stop:
            return await self._stop(unit)
        match unit.status.state:
            case PartyRunState.PENDING:
                await self._make_workload(unit)
                return endings.moved(unit, PartyRunEvent.PREPARE, self._now())
            case PartyRunState.PREPARING:
                return await self._prepare(unit, progress)
            case PartyRunState.PREPARED if unit.desired is Desired.RUNNING:
                return await self._before_launch(unit)
            case PartyRunState.LAUNCHING:
                return await self._launch(unit)
            case PartyRunState.RUNNING:
                return await self._look(unit)
        return endings.answered(unit, self._now())

    async def _prepare(self, unit: Unit, progress: Progress) -> Unit:
        if self._gate.still_waits(unit):
            return endings.answered(unit, self._now())
        workload = await self._make_workload(unit)
        digest = await self._runtime.prepare(workload, progress)
        status = replace(unit.status, image_digest=digest)
        unit = replace(unit, status=status, sources=_sources(workload))
        if not await self._gate.passes(unit):
            return self._waiting(unit)
        return endings.moved(unit, PartyRunEvent.PREPARED, self._now())

    async def _before_launch(self, unit: Unit) -> Unit:
        if self._gate.still_waits(unit):
            return endings.answered(unit, self._now())
        # Between the two phases of a start rules may have changed, and links in the site's data.
        workload = await self._make_workload(unit)
        if unit.sources is not None and _sources(workload) != unit.sources:
            raise decide.refusal(decide.DATA_ROOTS, Reason.DATA_OUTSIDE_ROOTS)
        if not await self._gate.passes(unit):
            return self._waiting(unit)
        await self._tunnels.open(unit.spec, workload, unit.traffic)
        if not self._tunnels.has_reached_coordinator(unit.spec):
            return start_order.awaiting_coordinator(unit, self._now())
        # Written down before the launch: from here on something may be running.
        return endings.moved(unit, PartyRunEvent.LAUNCH, self._now())

    def _waiting(self, unit: Unit) -> Unit:
        unit = replace(unit, failures=0)
        return endings.noted(unit, Reason.NONE, endings.WAITING_FOR_APPROVAL, self._now())

    async def _launch(self, unit: Unit) -> Unit:
        workload = await self._make_workload(unit)
        await self._tunnels.open(unit.spec, workload, unit.traffic)
        seen = await self._runtime.launch(workload)
        after = endings.started(unit, seen, self._now())
        return after if seen.phase is not Phase.EXITED else endings.exited(after, seen, self._now())

    async def _look(self, unit: Unit) -> Unit:
        seen = await self._runtime.inspect(unit.party_run_id)
        if seen is None or seen.phase is Phase.PREPARED:
            return endings.vanished(unit, self._now())
        if seen.phase is Phase.EXITED:
            return endings.exited(unit, seen, self._now())
        if members.meets(unit.spec) and not self._tunnels.is_open(unit.party_run_id):
            await self._open_again(unit)
        return endings.answered(unit, self._now())

    async def _open_again(self, unit: Unit) -> None:
        """Give a workload that an earlier agent launched, or whose sockets were lost, new ones."""
        try:
            workload = await self._make_workload(unit)
            await self._tunnels.open(unit.spec, workload, unit.traffic)
        except RuntimeRefused as refusal:
            # Nobody ends a workload for that: it may be past what it needed them for.
            log.error(  # noqa: TRY400  no defect of ours
                "tunnels_not_opened", party_run_id=unit.party_run_id, error=refusal.message
            )

    async def _stop(self, unit: Unit) -> Unit:
        if unit.status.state not in (PartyRunState.LAUNCHING, PartyRunState.RUNNING):
            return endings.stopped(unit, None, self._now())
        if unit.stop_stage is StopStage.ASKED:
            await self._runtime.stop(unit.party_run_id, unit.spec.stop_grace_s)
            return replace(unit, stop_stage=StopStage.ENDED, failures=0)
        seen = await self._runtime.inspect(unit.party_run_id)
        if seen is None or seen.phase is Phase.PREPARED:
            return self._nothing_to_stop(unit)
        if unit.stop_stage is StopStage.NONE:
            return self._before_stop(unit, seen)
        if seen.phase is Phase.EXITED:
            return endings.stopped(unit, seen, self._now())
        return replace(endings.unanswered(unit, self._now()), stop_stage=StopStage.ASKED)

    def _nothing_to_stop(self, unit: Unit) -> Unit:
        if unit.cut is not Reason.NONE and unit.stop_stage is StopStage.NONE:
            # It ran, and was gone before this agent laid a hand on it.
            return endings.vanished(unit, self._now())
        return endings.stopped(unit, None, self._now())

    def _before_stop(self, unit: Unit, seen: Observation) -> Unit:
        if unit.status.state is PartyRunState.LAUNCHING:
            unit = endings.started(unit, seen, self._now())
        if seen.phase is not Phase.EXITED:
            return replace(unit, stop_stage=StopStage.ASKED, failures=0)
        # It had ended by itself before the stop reached it, so that is what happened.
        return endings.exited(unit, seen, self._now())

    async def _remove(self, unit: Unit) -> Unit:
        if unit.removed:
            return unit
        await self._runtime.remove(unit.party_run_id)
        return replace(unit, removed=True, failures=0)


def _sources(workload: Workload) -> tuple[str, ...]:
    return tuple(str(bind.source) for bind in workload.binds)
