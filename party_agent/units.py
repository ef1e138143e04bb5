"""All party runs of one site, each with a loop of its own: who makes, wakes and ends them."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from flow_contract.assignments import Assignment
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from party_agent import endings
from party_agent.admission import Admission
from party_agent.approvals import Approvals
from party_agent.clock import Clock
from party_agent.contact import Contact
from party_agent.controller import Controller, retry_delay_s
from party_agent.gate import Gate
from party_agent.gpus import GpuAllocator, GpuInventory
from party_agent.journal import KEPT_ENDED, Journal
from party_agent.logs_out.spools import Spools
from party_agent.outputs_out.spools import OutputSpools
from party_agent.policy.site import Site
from party_agent.policy.watch import FixedPolicy, PolicySource
from party_agent.reporter import Reporter
from party_agent.runtime.port import Runtime, RuntimeRefused, RuntimeUnavailable
from party_agent.strays import Strays
from party_agent.tasks import OwnedTasks
from party_agent.tunnel.port import NoTunnels, Tunnels
from party_agent.unit import Unit, new_unit, report_of
from party_agent.unit_loop import UnitLoop
from party_agent.unit_tools import Tools
from party_agent.unreadable import Unreadable, refused_unit
from party_agent.workload_api.host import ApiHost

# Beside the longest grace: for a busy engine to end and remove everything.
STOP_ALL_SLACK_S = 60.0

log = structlog.get_logger()


class Units:
    """The site's party runs.

    `outputs` is the directory of /output, None for none. A unit's status reaches `reporter`
    only after `journal` has it. `policy` None means that the rules of `site` never change, `api`
    None that workloads have nowhere to report, `tunnels` None that they meet nobody.
    """

    def __init__(
        self,
        *,
        site: Site,
        policy: PolicySource | None = None,
        runtime: Runtime,
        journal: Journal,
        reporter: Reporter,
        gpus: GpuInventory,
        clock: Clock,
        contact: Contact,
        outputs: Path | None,
        api: ApiHost | None = None,
        logs: Spools | None = None,
        uploads: OutputSpools | None = None,
        tunnels: Tunnels | None = None,
    ) -> None:
        self._api = api or ApiHost(None, clock.now)
        self._tunnels = tunnels = tunnels or NoTunnels()
        tunnels.known, tunnels.changed = lambda each: each in self._loops, self._wake
        self._runtime = runtime
        self._journal = journal
        self._reporter = reporter
        self._clock = clock
        self._gpus = GpuAllocator(gpus)
        self._admission = Admission(
            site=site,
            policy=policy or FixedPolicy(site.rules),
            outputs=outputs,
            api=self._api.folders,
            logs=logs,
            uploads=uploads,
            held=lambda: self.held,
            ways=runtime,
        )
        self.approvals = Approvals(journal, now=clock.now, answered=self._wake)
        gate = Gate(rules=lambda: self._admission.rules, approvals=self.approvals, now=clock.now)
        make_workload = self._admission.workload_of
        controller = Controller(
            runtime=runtime, make_workload=make_workload, now=clock.now, gate=gate, tunnels=tunnels
        )
        self._tools = Tools(
            controller=controller,
            journal=journal,
            reporter=reporter,
            gpus=self._gpus,
            clock=clock,
            contact=contact,
            rules=lambda: self._admission.rules,
            gate=gate,
            api=self._api,
            tunnels=tunnels,
            gpus_freed=self._serve_gpus,
        )
        self._loops: dict[str, UnitLoop] = {}
        self._ended: dict[str, None] = {}
        self._tasks = OwnedTasks()
        known, own = (lambda: self._loops), self._tasks.own
        self._strays = Strays(runtime=runtime, clock=clock, known=known, own=own)
        self._is_stopping = self._is_draining = False
        contact.on_loss(self._wake_all)

    async def open(self) -> None:
        """Go on with what the journal holds; the runtime must be open.

        Raises:
            StateDirUnusable: the journal can't be read.
        """
        self._ended = dict.fromkeys(self._journal.load_ended())
        units = self._journal.load()
        await self._api.open(frozenset(unit.party_run_id for unit in units if not unit.removed))
        for unit in units:
            if not unit.removed:
                self._gpus.restore(unit.party_run_id, unit.status.gpu_ids)
        for unit in units:
            if unit.sequence > unit.acked:
                self._reporter.offer(report_of(unit))
            self._add(self._admit(unit), journaled=unit)
        self._serve_gpus()
        strays: list[str] = []
        with suppress(RuntimeUnavailable):
            # Only for the log; what is to end is asked again once the server was heard.
            strays = await self._strays.find()
        self._tasks.own(self._follow_exits())
        self._tasks.own(self._admission.follow(self._clock, self._wake_all))
        if units or strays:
            log.info("units_adopted", units=len(units), strays=len(strays))

    @property
    def party_run_ids(self) -> tuple[str, ...]:
        """The party runs held here, final ones until acknowledged."""
        return tuple(self._loops)

    @property
    def held(self) -> tuple[Unit, ...]:
        """The units as they are now."""
        return tuple(loop.unit for loop in self._loops.values())

    def assign(
        self,
        assignments: Iterable[Assignment],
        *,
        unreadable: Iterable[Unreadable] = (),
        complete: bool = False,
    ) -> None:
        """Take over what the server wants.

        If `complete`, end everything that it does not name, and tell again where the rest is.
        """
        if self._is_stopping:
            return
        by_order = sorted(assignments, key=lambda assignment: assignment.spec.order)
        for assignment in by_order:
            loop = self._loops.get(assignment.spec.party_run_id)
            if loop is not None:
                loop.want(assignment.desired, assignment.cause)
                if complete:
                    loop.say_again()
            elif assignment.spec.party_run_id in self._ended:
                # It was on its way while the last report was.
                log.debug("assignment_ignored", party_run_id=assignment.spec.party_run_id)
            elif self._is_draining and assignment.desired is not Desired.STOPPED:
                self._turn_away(assignment)
            else:
                self._add(self._admit(new_unit(assignment, self._clock.now())))
        named = {assignment.spec.party_run_id for assignment in by_order}
        for problem in unreadable:
            self._refuse(problem)
            named.add(problem.party_run_id)
        self._serve_gpus()
        if complete:
            self._end_unnamed(named)

    def acknowledge(self, party_run_id: str, sequence: int) -> None:
        """Take the server's word that it has stored the report."""
        self._reporter.acknowledge(party_run_id, sequence)
        if loop := self._loops.get(party_run_id):
            loop.acknowledge(sequence)

    def drain(self) -> None:
        """Refuse every party run that is not held yet."""
        self._is_draining = True

    async def ended(self) -> None:
        """Return once no party run is held whose workload is not over and removed."""
        while left := [loop for loop in self._loops.values() if not loop.removed.is_set()]:
            await asyncio.gather(*(loop.removed.wait() for loop in left))

    async def end_strays(self) -> None:
        """Begin to end the workloads that nobody knows.

        Raises:
            RuntimeUnavailable: the runtime can't say what it holds.
        """
        await self._strays.end_all()

    async def stop_all(self) -> None:
        """Stop and remove every workload of this agent, then take no more assignments."""
        self._is_stopping = True
        loops = list(self._loops.values())
        grace_s = max((loop.unit.spec.stop_grace_s for loop in loops), default=0)
        for loop in loops:
            loop.want(Desired.STOPPED, Reason.STOPPED_BY_USER)
        try:
            async with asyncio.timeout(grace_s + STOP_ALL_SLACK_S):
                await asyncio.gather(*(loop.removed.wait() for loop in loops))
                for seen in await self._runtime.list():
                    await self._strays.end(seen.party_run_id)
        except (TimeoutError, RuntimeUnavailable) as error:
            left = [loop.unit.party_run_id for loop in loops if not loop.removed.is_set()]
            log.error("workloads_left_behind", party_run_ids=left, error=repr(error))  # noqa: TRY400  no defect of ours

    async def aclose(self) -> None:
        """End the loops; workloads run on. May be called twice."""
        await self._tasks.aclose()
        await self._tunnels.aclose()
        self._admission.close()
        await self._api.aclose()

    def _admit(self, unit: Unit) -> Unit:
        """Return the unit with a place in the queue for GPUs, or refused."""
        if unit.status.state is not PartyRunState.PENDING or unit.desired is Desired.STOPPED:
            return unit
        try:
            self._admission.check(unit)
            if (request := unit.spec.resources.gpus) and request.size:
                self._gpus.enqueue(unit.party_run_id, unit.spec.order, request)
        except RuntimeRefused as refusal:
            return endings.refused(unit, refusal, self._clock.now())
        return unit

    def _turn_away(self, assignment: Assignment) -> None:
        now, refusal = self._clock.now(), RuntimeRefused(Reason.PARTY_DRAINING, "")
        self._add(endings.refused(new_unit(assignment, now), refusal, now))

    def _refuse(self, problem: Unreadable) -> None:
        log.error("assignment_unreadable", party_run_id=problem.party_run_id, why=problem.message)
        if problem.party_run_id not in {*self._loops, *self._ended}:
            self._add(refused_unit(problem, self._clock.now()))

    def _add(self, unit: Unit, *, journaled: Unit | None = None) -> None:
        loop = UnitLoop(unit, self._tools, journaled=journaled)
        self._loops[unit.party_run_id] = loop
        self._tasks.own(self._run(loop))

    async def _run(self, loop: UnitLoop) -> None:
        await loop.run()
        party_run_id = loop.unit.party_run_id
        del self._loops[party_run_id]
        self.approvals.forget(party_run_id)
        self._ended[party_run_id] = None
        if len(self._ended) > KEPT_ENDED:
            del self._ended[next(iter(self._ended))]

    def _serve_gpus(self) -> None:
        # Who still waits is woken too: its sentence says how many are free.
        waiting = self._gpus.waiting()
        self._gpus.grant()
        for each in waiting:
            self._wake(each)

    def _end_unnamed(self, named: set[str]) -> None:
        for party_run_id, loop in self._loops.items():
            if party_run_id not in named and not loop.unit.is_final:
                log.info("unit_abandoned", party_run_id=party_run_id)
                loop.abandon()
        self._strays.server_heard()

    async def _follow_exits(self) -> None:
        failures = 0
        while True:
            try:
                async for party_run_id in self._runtime.exits():
                    failures = 0
                    self._wake(party_run_id)
            except RuntimeUnavailable as error:
                failures += 1
                log.warning("exits_not_followed", error=str(error))
                await self._clock.sleep(retry_delay_s(failures))
            else:
                return
            self._wake_all()

    def _wake(self, party_run_id: str) -> None:
        if loop := self._loops.get(party_run_id):
            loop.wake()

    def _wake_all(self) -> None:
        for loop in self._loops.values():
            loop.wake()
