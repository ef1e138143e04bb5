"""Pushes each party run's outputs over a stream of its own, from where the server says it is.

What a workload sends goes at once; what it left in its output directory when it has ended. How
far a file is, only the server knows, so a crash at either end costs neither a hole nor a repeat.
A party run is forgotten here once the server has said that it has everything, or that nobody
will read it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import grpc.aio
import structlog

from flow_contract.errors import InvalidArgument
from flow_contract.outputs import OutputState
from flow_wire import outputs_pb2_grpc
from party_agent.backoff import Backoff
from party_agent.clock import Clock
from party_agent.dial import channel_options
from party_agent.identity.doors import Door, NoDoor
from party_agent.outputs_out.leaving import Leaving
from party_agent.outputs_out.sending import send_all
from party_agent.outputs_out.sources import Source
from party_agent.outputs_out.spools import OutputSpools
from party_agent.outputs_out.upstream import Call, StreamEnded, Upstream
from party_agent.policy.rules import MayLeave
from party_agent.settings import AgentSettings
from party_agent.tasks import for_ever

LOOK_EVERY_S = 0.2
# Of one site: a large one holds up one other at most.
_AT_ONCE = 2

log = structlog.get_logger()


class OutputPusher:
    """Pushes what `spools` know, None for nothing, and what lies in `outputs`, a folder for each.

    `may_write`: whether a workload may still make something. `rules` are those in force.
    """

    def __init__(
        self,
        settings: AgentSettings,
        door: Door,
        spools: OutputSpools | None,
        outputs: Path | None,
        *,
        may_write: Callable[[str], bool],
        rules: Callable[[], MayLeave],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._door = door
        self._spools = spools
        self._outputs = outputs
        self._may_write = may_write
        self._rules = rules
        self._clock = clock
        self._random = random
        self._places = asyncio.Semaphore(_AT_ONCE)
        # Whose server side wants nothing more, while their workloads go on.
        self._settled: set[str] = set()

    async def run(self) -> NoReturn:
        """Push until cancelled."""
        if self._spools is None:
            await for_ever()
        works: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                works = {name: task for name, task in works.items() if not task.done()}
                for name in await asyncio.to_thread(self._due, self._spools):
                    if name not in works:
                        works[name] = asyncio.create_task(self._persist(self._spools, name))
                await self._clock.sleep(LOOK_EVERY_S)
        finally:
            for task in works.values():
                task.cancel()
            await asyncio.gather(*works.values(), return_exceptions=True)
            self._spools.close()

    def _due(self, spools: OutputSpools) -> list[str]:
        return [name for name in spools.names() if self._has_work(spools, name)]

    def _has_work(self, spools: OutputSpools, party_run_id: str) -> bool:
        if self._is_over(party_run_id):
            return True
        if party_run_id in self._settled or not self._rules().outputs:
            return False
        try:
            return spools.of(party_run_id).has_waiting()
        except (OSError, ValueError) as error:
            log.error("outputs_unreadable", party_run_id=party_run_id, why=str(error))  # noqa: TRY400  no defect of ours
            return False

    def _is_over(self, party_run_id: str) -> bool:
        return not self._may_write(party_run_id)

    async def _persist(self, spools: OutputSpools, party_run_id: str) -> None:
        """Push one party run until there is no more to push now, however often it takes."""
        backoff = Backoff(
            first_s=self._settings.first_backoff_s,
            max_s=self._settings.max_backoff_s,
            random=self._random,
        )
        while True:
            try:
                # Not while it waits: who can't be pushed now holds nobody else up.
                async with self._places:
                    await self._session(spools, party_run_id, backoff.reset)
            except (
                grpc.aio.AioRpcError,
                NoDoor,
                StreamEnded,
                OSError,
                ValueError,
                InvalidArgument,
            ) as error:
                delay_s = backoff.next_s()
                log.warning(
                    "outputs_not_pushed",
                    party_run_id=party_run_id,
                    why=_why(error),
                    retry_in_s=round(delay_s, 1),
                )
                await self._clock.sleep(delay_s)
            else:
                return

    async def _session(
        self, spools: OutputSpools, party_run_id: str, heard: Callable[[], None]
    ) -> None:
        async with self._door.open(channel_options(self._settings.keepalive_s)) as channel:
            call: Call = outputs_pb2_grpc.OutputServiceStub(channel).Push()
            try:
                upstream = Upstream(call)
                answer = await upstream.hello(self._settings.party, party_run_id)
                heard()
                if answer.state is OutputState.OPEN:
                    await self._push(spools, party_run_id, upstream)
                else:
                    await self._settle(spools, party_run_id)
            finally:
                call.cancel()

    async def _push(self, spools: OutputSpools, party_run_id: str, upstream: Upstream) -> None:
        spool = await asyncio.to_thread(spools.of, party_run_id)
        folder = None if self._outputs is None else self._outputs / party_run_id
        leaving = Leaving(spool, folder, spools.caps, self._rules)

        async def ended(source: Source, why: str) -> None:
            await asyncio.to_thread(leaving.ended, source, why)

        while True:
            # Asked first: what was sent before the end is there when it is looked at.
            is_over = self._is_over(party_run_id)
            sent = await asyncio.to_thread(leaving.sent)
            await send_all(upstream, sent, ended)
            if is_over:
                break
            if not sent:
                return
        left = await asyncio.to_thread(leaving.left)
        await send_all(upstream, left, ended)
        words = await asyncio.to_thread(leaving.last_words)
        await upstream.close(words)
        log.info(
            "outputs_pushed",
            party_run_id=party_run_id,
            files=len(left) + len(spool.stored),
            skipped=words.skipped_count,
            withheld=words.withheld,
        )
        await self._settle(spools, party_run_id)

    async def _settle(self, spools: OutputSpools, party_run_id: str) -> None:
        if self._is_over(party_run_id):
            await asyncio.to_thread(spools.remove, party_run_id)
            self._settled.discard(party_run_id)
        else:
            self._settled.add(party_run_id)


def _why(error: Exception) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):
        return str(error)
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "the server is older and takes no outputs"
    return error.details() or error.code().name
