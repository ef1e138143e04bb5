"""Single connections, decided on in the agent's loop: of a workload that dials, or is dialled.

The agent keeps to what the run's assignment says, whatever the server offers later.
"""

import socket
from collections.abc import Awaitable, Callable

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Peer
from flow_contract.tunnels import Offer
from party_agent.runtime.port import Dialled, RuntimeUnavailable
from party_agent.tunnel import members
from party_agent.tunnel.counts import Count
from party_agent.tunnel.ends import Ends, NotConnected
from party_agent.tunnel.frames import Outcome
from party_agent.tunnel.opening import NotOpened, Opener
from party_agent.tunnel.pump import Ended, reset
from party_agent.tunnel.rates import Valve
from party_agent.tunnel.refusing import Refused, TunnelWatch
from party_agent.tunnel.run import Run, line_of
from party_agent.tunnel.thread import PumpThread

_FREE = (Valve(), Valve())


class Carrier:
    """Carries connections. `room` is how many a party run may have at a time, as of now."""

    def __init__(
        self,
        *,
        opener: Opener,
        thread: PumpThread,
        ends: Ends,
        room: Callable[[], int],
        watch: TunnelWatch,
    ) -> None:
        self._opener = opener
        self._thread = thread
        self._ends = ends
        self._room = room
        self._watch = watch

    async def dialled(self, run: Run, dialled: Dialled) -> None:
        """Carry what the workload has opened to a neighbour, to its end."""
        facts = {"peer": dialled.neighbour, "port": str(dialled.port)}
        plain = dialled.stream
        is_ours = True
        try:
            peer = members.peer_named(run.spec, dialled.neighbour)
            if peer is None:
                await self._refused(Refused.NOT_DECLARED, run, **facts, detail="dials itself")
                return
            if run.connections >= self._room():
                await self._refused(Refused.FULL, run, **facts)
                return

            async def carry() -> Ended:
                nonlocal is_ours
                ticket = await self._opener.open(run.party_run_id, peer.party_run_id, dialled.port)
                line = run.line(peer, ticket)
                is_ours = False
                return await self._thread.carry(lambda: self._ends.dial(line, plain))

            await self._carried(run, carry, facts)
        finally:
            if is_ours:
                reset(plain)

    async def offered(self, run: Run, offer: Offer) -> None:
        """Carry what somebody opens to the workload, to its end."""
        facts = {"peer": offer.peer_federated_id, "port": str(offer.port)}
        peer = members.peer_of(run.spec, offer)
        if isinstance(peer, str):
            await self._refused(Refused.NOT_DECLARED, run, **facts, detail=peer)
            return
        room = self._room()
        if run.connections >= 2 * room:
            # Not even told: the relay ends it.
            await self._refused(Refused.FULL, run, **facts)
            return
        is_full = run.connections >= room
        line = run.line(peer, offer.ticket)

        async def carry() -> Ended:
            plain = Outcome.UNAVAILABLE if is_full else await self._dial(run, offer.port)
            ended = await self._thread.carry(lambda: self._ends.answer(line, plain))
            if is_full:
                raise _NotTaken(Refused.FULL)
            if not isinstance(plain, socket.socket):
                raise _NotTaken(Refused.NOT_LISTENING)
            return ended

        await self._carried(run, carry, facts)

    async def probe(self, spec: WorkloadSpec, peer: Peer, port: int) -> bool:
        """Say whether the peer listens at the port."""
        try:
            ticket = await self._opener.ask(spec.party_run_id, peer.party_run_id, port)
            line = line_of(spec, peer, ticket, Count(), _FREE)
            await self._thread.do(lambda: self._ends.probe(line))
        except NotOpened:
            return False
        except NotConnected as error:
            if error.is_untrusted:
                await self._watch.refused(
                    Refused.UNTRUSTED,
                    spec=spec,
                    party_run_id=spec.party_run_id,
                    peer=peer.name,
                    detail=str(error),
                )
            return False
        return True

    async def _carried(
        self, run: Run, carry: Callable[[], Awaitable[Ended]], facts: dict[str, str]
    ) -> None:
        run.connections += 1
        self._watch.began()
        how: Ended | Refused = Ended.CANCELLED
        try:
            how = await carry()
        except NotOpened as error:
            how = Refused.NOT_OPENED
            await self._refused(how, run, **facts, detail=str(error))
        except NotConnected as error:
            how = Refused.UNTRUSTED if error.is_untrusted else Refused.NOT_CONNECTED
            await self._refused(how, run, **facts, detail=str(error))
        except _NotTaken as error:
            how = error.why
            await self._refused(how, run, **facts)
        finally:
            run.connections -= 1
            self._watch.ended(how)

    async def _dial(self, run: Run, port: int) -> socket.socket | Outcome:
        try:
            return await run.sockets.dial(port)
        except ConnectionRefusedError:
            return Outcome.REFUSED
        except (OSError, RuntimeUnavailable):
            return Outcome.UNAVAILABLE

    async def _refused(self, why: Refused, run: Run, **facts: str) -> None:
        await self._watch.refused(why, spec=run.spec, party_run_id=run.party_run_id, **facts)


class _NotTaken(Exception):
    """The other side was told that its connection is not taken."""

    def __init__(self, why: Refused) -> None:
        super().__init__(why.value)
        self.why = why
