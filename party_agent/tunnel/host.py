"""The tunnels of one agent: per party run its sockets, what its workload dials, and who dials it.

Here in the agent's own loop is decided who may meet whom; the bytes pass in a thread of their own.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.tunnels import Offer
from party_agent.clock import Clock
from party_agent.policy.rules import Rules
from party_agent.runtime.port import Runtime, RuntimeUnavailable, Workload
from party_agent.tasks import OwnedTasks
from party_agent.tunnel.carrier import Carrier
from party_agent.tunnel.counts import Counts
from party_agent.tunnel.ends import Ends
from party_agent.tunnel.following import Follower
from party_agent.tunnel.opening import Opener
from party_agent.tunnel.refusing import Refused, TunnelWatch
from party_agent.tunnel.run import Run, both_ways, joined_ways
from party_agent.tunnel.seeking import Seeker
from party_agent.tunnel.thread import PumpThread

# How often counts are passed on, at most.
TELL_EVERY_S = 1.0
# For the last bytes of a workload that has ended to be counted before its end is reported.
SETTLE_S = 2.0
# For an agent that has just begun to have opened the sockets of what it adopted.
ADOPT_S = 5.0
# Offers that wait for that, or are being refused; more is a flood.
_MAX_OFFERS = 4_096
# Offers for those that ended may be on their way.
_KEPT_ENDED = 1_000

log = structlog.get_logger()


class TunnelHost:
    """Opens, keeps and ends what party runs have of tunnels.

    `most` is how many connections each may have, where the site's rules say nothing less. `known`
    says which party runs are held; `changed` is called with one whose counts have grown, or whose
    coordinator was reached, or whose sockets were lost. `stream` is to run over each session's
    connection: by it the server is asked for tunnels.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        opener: Opener,
        thread: PumpThread,
        ends: Ends,
        rules: Callable[[], Rules],
        clock: Clock,
        most: int,
        watch: TunnelWatch,
    ) -> None:
        self.stream = opener.run
        self._runtime = runtime
        self._thread = thread
        self._ends = ends
        self._rules = rules
        self._clock = clock
        self._most = most
        self._watch = watch
        self._carrier = Carrier(
            opener=opener, thread=thread, ends=ends, room=self._room, watch=watch
        )
        self._seeker = Seeker(carrier=self._carrier, clock=clock, found=self._say_changed)
        self._follower = Follower(clock=clock, changed=self._say_changed)
        self._site = both_ways(lambda: rules().tunnel.max_bytes_per_s)
        self._tasks = OwnedTasks()
        self._offers = 0
        self._runs: dict[str, Run] = {}
        # Kept also while sockets are lost and opened anew.
        self._counts: dict[str, Counts] = {}
        self._ended: dict[str, None] = {}
        self._is_telling = False
        self._has_opened = asyncio.Event()
        self.known: Callable[[str], bool] = lambda _: False
        self.changed: Callable[[str], None] = lambda _: None

    async def listen(self) -> None:
        """Let other sites dial this one, if its policy says where.

        Raises:
            DirectUnusable: it can't be listened there.
        """
        address = self._rules().tunnel.listen
        if address:
            port = await self._thread.do(lambda: self._ends.listen(address))
            log.info("tunnels_listen", address=address, port=port)

    def is_open(self, party_run_id: str) -> bool:
        """Say whether the party run has sockets."""
        return party_run_id in self._runs

    def traffic(self, party_run_id: str) -> tuple[Traffic, ...] | None:
        """Return the counts as last told, None where there are no sockets."""
        run = self._runs.get(party_run_id)
        return None if run is None else run.told

    def peer_progress(self, party_run_id: str) -> tuple[PeerProgress, ...] | None:
        """Return what a coordinator said last of its parties, None where it says nothing."""
        return self._follower.said(party_run_id)

    async def ask_progress(self, party_run_id: str) -> None:
        """Ask the coordinator once more, before it is stopped; takes seconds at most."""
        await self._follower.ask_now(party_run_id)

    def has_reached_coordinator(self, spec: WorkloadSpec) -> bool:
        """Say whether the run's coordinator has listened; if not, look for it until `end`."""
        return self._seeker.has_reached(spec)

    async def open(
        self, spec: WorkloadSpec, workload: Workload, counted: tuple[Traffic, ...]
    ) -> None:
        """Open the sockets of a prepared or running workload, unless they are open.

        `counted` is what was counted before, perhaps by an earlier agent.

        Raises:
            RuntimeRefused: they can't be opened here.
            RuntimeUnavailable: try again later.
        """
        if not workload.neighbours or spec.party_run_id in self._runs:
            return
        sockets = await self._runtime.sockets(workload)
        own = both_ways(lambda: self._rules().tunnel.max_run_bytes_per_s)
        counts = self._counts.setdefault(spec.party_run_id, Counts.after(counted))
        run = Run(
            spec=spec,
            sockets=sockets,
            counts=counts,
            ways=joined_ways(self._site, own),
            told=counts.read(),
        )
        self._runs[spec.party_run_id] = run
        self._tasks.own(self._accept(run))
        self._follower.follow(run)
        if not self._is_telling:
            self._is_telling = True
            self._tasks.own(self._tell())
        self._has_opened.set()
        self._has_opened = asyncio.Event()
        log.info("tunnels_opened", party_run_id=spec.party_run_id)

    async def end(self, party_run_id: str) -> tuple[Traffic, ...] | None:
        """Open no more connections of the party run; return the counts, None if it had no sockets.

        Waits a little for what is still on its way. May be called twice.
        """
        await self._seeker.forget(party_run_id)
        self._follower.forget(party_run_id)
        run = self._runs.pop(party_run_id, None)
        counts = self._counts.pop(party_run_id, None)
        if run is None:
            return None if counts is None else counts.read()
        self._ended[party_run_id] = None
        if len(self._ended) > _KEPT_ENDED:
            del self._ended[next(iter(self._ended))]
        await run.sockets.aclose()
        if run.connections:
            with suppress(RuntimeError):
                await self._thread.do(lambda: self._ends.end(party_run_id, SETTLE_S))
        self._note_moved(run)
        return run.told

    async def aclose(self) -> None:
        """End all connections; the workloads run on. May be called twice."""
        await self._seeker.aclose()
        await self._follower.aclose()
        await self._tasks.aclose()
        runs, self._runs = list(self._runs.values()), {}
        for run in runs:
            await run.sockets.aclose()
        await self._thread.aclose()

    def offer(self, offer: Offer) -> None:
        """Take the server's word that somebody wants to reach a workload here; never waits."""
        if self._offers >= _MAX_OFFERS:
            log.warning("tunnel_offer_dropped", party_run_id=offer.party_run_id[:64])
            return
        self._offers += 1
        self._tasks.own(self._offered(offer))

    async def _offered(self, offer: Offer) -> None:
        try:
            run = await self._run_of(offer.party_run_id)
            if run is None:
                await self._refuse_unknown(offer)
                return
        finally:
            self._offers -= 1
        await self._carrier.offered(run, offer)

    async def _run_of(self, party_run_id: str) -> Run | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ADOPT_S):
                while party_run_id not in self._runs and self.known(party_run_id):
                    await self._has_opened.wait()
        return self._runs.get(party_run_id)

    async def _refuse_unknown(self, offer: Offer) -> None:
        if offer.party_run_id in self._ended or self.known(offer.party_run_id):
            log.info("tunnel_offer_too_late", party_run_id=offer.party_run_id)
            return
        await self._watch.refused(
            Refused.UNKNOWN_RUN,
            spec=None,
            party_run_id=offer.party_run_id,
            peer=offer.peer_federated_id,
            port=str(offer.port),
        )

    async def _accept(self, run: Run) -> None:
        try:
            while True:
                dialled = await run.sockets.dialled()
                self._tasks.own(self._carrier.dialled(run, dialled))
        except RuntimeUnavailable as error:
            if self._runs.get(run.party_run_id) is run:
                log.warning("tunnels_lost", party_run_id=run.party_run_id, why=str(error))
                del self._runs[run.party_run_id]
                self._follower.forget(run.party_run_id)
                await run.sockets.aclose()
                self._note_moved(run)
                self.changed(run.party_run_id)

    async def _tell(self) -> None:
        while self._runs:
            await self._clock.sleep(TELL_EVERY_S)
            for run in list(self._runs.values()):
                if self._note_moved(run):
                    self.changed(run.party_run_id)
        self._is_telling = False

    def _note_moved(self, run: Run) -> bool:
        """Take the counts over; say whether they have grown."""
        before, run.told = run.told, run.counts.read()
        if run.told == before:
            return False
        self._watch.moved(
            sum(each.sent_bytes for each in run.told) - sum(each.sent_bytes for each in before),
            sum(each.received_bytes for each in run.told)
            - sum(each.received_bytes for each in before),
        )
        return True

    def _say_changed(self, party_run_id: str) -> None:
        # Whose loops are to be woken is known later than whom to look for.
        self.changed(party_run_id)

    def _room(self) -> int:
        most = self._rules().tunnel.max_connections
        return self._most if most is None else min(most, self._most)
