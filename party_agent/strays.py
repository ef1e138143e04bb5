"""Workloads of this agent that neither its journal nor the server knows, and their end."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any

import structlog

from flow_contract.assignments import WorkloadSpec
from party_agent.clock import Clock
from party_agent.controller import retry_delay_s
from party_agent.runtime.port import Runtime, RuntimeUnavailable

log = structlog.get_logger()


class Strays:
    """Finds and ends them. `known` says which party runs are somebody's, `own` runs a task.

    Invariant: nothing is ended before the server has once said all that it wants, for until
    then a workload that only the journal lost may be the server's.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        clock: Clock,
        known: Callable[[], Collection[str]],
        own: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._known = known
        self._own = own
        self._is_server_heard = False
        self._ending: set[str] = set()

    def server_heard(self) -> None:
        """Note that the server has said all that it wants; the first time, end what it does not."""
        if not self._is_server_heard:
            self._is_server_heard = True
            self._own(self._end_in_the_end())

    async def find(self) -> list[str]:
        """Return the strays that there are.

        Raises:
            RuntimeUnavailable: the runtime can't say what it holds.
        """
        # Asked twice: what is removed while the runtime looks was no stray before.
        before = set(self._known())
        seen = [each.party_run_id for each in await self._runtime.list()]
        known = before | set(self._known())
        return [party_run_id for party_run_id in seen if party_run_id not in known]

    async def end_all(self) -> None:
        """Begin to end the strays that there are, unless the server has not been heard yet.

        Raises:
            RuntimeUnavailable: the runtime can't say what it holds.
        """
        if not self._is_server_heard:
            return
        for party_run_id in await self.find():
            if party_run_id not in self._ending:
                self._own(self.end(party_run_id))

    async def end(self, party_run_id: str) -> None:
        """End one, however long it takes."""
        log.warning("stray_workload_ended", party_run_id=party_run_id)
        self._ending.add(party_run_id)
        failures = 0
        try:
            while True:
                try:
                    await self._runtime.stop(party_run_id, WorkloadSpec.stop_grace_s)
                    await self._runtime.remove(party_run_id)
                except RuntimeUnavailable:
                    failures += 1
                    await self._clock.sleep(retry_delay_s(failures))
                else:
                    return
        finally:
            self._ending.discard(party_run_id)

    async def _end_in_the_end(self) -> None:
        failures = 0
        while True:
            try:
                await self.end_all()
            except RuntimeUnavailable:
                failures += 1
                await self._clock.sleep(retry_delay_s(failures))
            else:
                return
