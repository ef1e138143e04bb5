"""Who may in: each unit held against the rules in force, and made a workload of if it may.

Whatever may block for as long as a disk likes is done in a thread.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from flow_contract.lifecycle import PartyRunState
from party_agent.clock import Clock
from party_agent.disk import Disk
from party_agent.logs_out.spools import Spools
from party_agent.outputs_out.spools import OutputSpools
from party_agent.policy import decide
from party_agent.policy.rules import Rules
from party_agent.policy.site import Site, names_data
from party_agent.policy.watch import LOOK_EVERY_S, PolicySource
from party_agent.runtime.port import Workload
from party_agent.unit import Unit
from party_agent.workload import Ways, check_filled, make_workload


class Admission:
    """Judges units. `outputs` is the directory of /output, `api` of /fedflow, None for none.

    `held` returns the site's units in the order in which they came, `ways` is the runtime's word
    on where a workload finds things.
    """

    def __init__(
        self,
        *,
        site: Site,
        policy: PolicySource,
        outputs: Path | None,
        api: Path | None = None,
        logs: Spools | None = None,
        uploads: OutputSpools | None = None,
        held: Callable[[], Iterable[Unit]],
        ways: Ways,
    ) -> None:
        self._site = site
        self._policy = policy
        self._outputs = outputs
        self._api = api
        self._logs = logs
        self._uploads = uploads
        self._held = held
        self._ways = ways
        self._disk = Disk()

    @property
    def rules(self) -> Rules:
        """The rules in force, as last read."""
        return self._policy.rules

    def check(self, unit: Unit) -> None:
        """Accept what could pass by the rules as last read; no disk is looked at.

        Raises:
            RuntimeRefused: names the first rule that it breaks.
        """
        has_output = self._outputs is not None
        check_filled(self._site_now(), unit.spec, self._ways, has_output=has_output)

    async def workload_of(self, unit: Unit) -> Workload:
        """Return the unit's workload by the rules as they are now.

        One that is being launched, or runs, has been judged: a rule that changes now doesn't touch
        it.

        Raises:
            RuntimeRefused: names the first rule that it breaks.
        """
        make = partial(self._made, unit, self._ahead_of(unit.party_run_id))
        makes_nothing = self._outputs is None and self._api is None
        if self._policy.is_fixed and makes_nothing and not names_data(unit.spec):
            return make()
        return await self._disk.do(make)

    async def follow(self, clock: Clock, changed: Callable[[], None]) -> NoReturn:
        """Call `changed` soon after each change of the rules; runs until cancelled."""
        known = self._policy.rules
        while not self._policy.is_fixed:
            await clock.sleep(LOOK_EVERY_S)
            await self._disk.do(self._policy.refresh)
            if self._policy.rules is not known:
                known = self._policy.rules
                changed()
        while True:
            await asyncio.Event().wait()

    def close(self) -> None:
        """Look at nothing more, and wait for nobody. May be called twice."""
        self._disk.close()

    def _made(self, unit: Unit, runs_ahead: int) -> Workload:
        self._policy.refresh()
        site = self._site_now()
        state = unit.status.state
        if state is PartyRunState.PENDING and not decide.has_room(site.rules, runs_ahead):
            raise decide.refusal(decide.MAX_CONCURRENT_RUNS)
        return make_workload(
            unit.spec,
            site,
            unit.status.gpu_ids,
            self._outputs,
            api=self._api,
            logs=self._logs,
            uploads=self._uploads,
            is_judged=state in (PartyRunState.LAUNCHING, PartyRunState.RUNNING),
            ways=self._ways,
        )

    def _ahead_of(self, party_run_id: str) -> int:
        """Count the runs that are here already, or came before this one."""
        ahead, is_before = 0, True
        for unit in self._held():
            if unit.party_run_id == party_run_id:
                is_before = False
            elif not unit.is_final:
                ahead += is_before or unit.status.state is not PartyRunState.PENDING
        return ahead

    def _site_now(self) -> Site:
        return replace(self._site, rules=self._policy.rules)
