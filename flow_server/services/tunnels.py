"""Opening tunnels: a ticket for the agent that asks, an offer for the other.

Nothing of it is stored. What gets lost on the way is a connection attempt whose other side never
comes, which the relay ends by itself; the workload sees a connection that failed.
"""

from dataclasses import replace

import structlog

from flow_contract import checks
from flow_contract.coordination import MAX_PORT
from flow_contract.errors import Kind, Unavailable
from flow_contract.tunnels import Offer, Ticket
from flow_server.domain.tunnels import may_open
from flow_server.hub.registry import Registry
from flow_server.relay.relay import Relay
from flow_server.services.admissions import not_admitted
from flow_server.storage.database import Database
from flow_server.storage.tunnels import TunnelReader, offer_from_text, pass_on

log = structlog.get_logger()


class TunnelService:
    """Lets agents meet at this replica's relay; None where it has none."""

    def __init__(self, database: Database, registry: Registry, relay: Relay | None) -> None:
        self._database = database
        self._registry = registry
        self._relay = relay
        self._reader = TunnelReader()

    async def open(
        self,
        federated_id: str | None,
        *,
        party_run_id: str,
        peer_party_run_id: str,
        port: int,
        serial: str = "",
    ) -> Ticket:
        """Return a ticket for a connection to a port of another member of the run.

        The other's agent is sent the offer, or it is on its way through the database.
        `federated_id` is the caller's party and `serial` its certificate's number; None and ""
        where nobody shows one.

        Raises:
            InvalidArgument: an id or the port can't be one.
            NotFound: the caller has no such party run, or its run has no such peer.
            Forbidden: the certificate is not good any more.
            Conflict: the run is over or not launched, or the port is not declared.
            Unavailable: the peer's agent is not connected or does not read, or there is no relay.
        """
        checks.text("party_run_id", party_run_id, max_chars=64)
        checks.text("peer_party_run_id", peer_party_run_id, max_chars=64)
        checks.number("port", port, least=1, most=MAX_PORT)
        async with self._database.glance() as connection:
            found = await self._reader.find(
                connection,
                party_run_id=party_run_id,
                peer_party_run_id=peer_party_run_id,
                serial=serial,
            )
            ports = await self._reader.ports(connection, found.facts.run_id)
        own, peer = may_open(found.facts, ports, caller=federated_id, port=port)
        if not found.is_admitted:
            raise not_admitted(own.federated_id)
        if not found.is_peer_connected:
            raise Unavailable(
                f"the agent of {peer.federated_id!r} is not connected at the moment; try again "
                "when it has come back",
                kind=Kind.PARTY,
                subject_id=peer.federated_id,
            )
        relay = self._required_relay()
        ticket = replace(relay.issue(party_run_id), direct_address=found.direct_address)
        offer = Offer(
            ticket=ticket,
            party_run_id=peer.party_run_id,
            peer_party_run_id=party_run_id,
            peer_federated_id=own.federated_id,
            port=port,
        )
        try:
            await self._send(peer.federated_id, found.peer_epoch, offer)
        except BaseException:
            relay.withdraw(ticket)
            raise
        return ticket

    def passed_on(self, text: str) -> None:
        """Take an offer that another replica sent round; it is for an agent here, or it is not."""
        federated_id, offer = offer_from_text(text)
        session = self._registry.get(federated_id)
        if session is None:
            return
        try:
            session.offer_tunnel(offer)
        except Unavailable as error:
            # Who asked for it waits for the other side in vain, and is told so by the relay.
            log.warning("tunnel_offer_dropped", party_id=federated_id, message=error.message)

    async def _send(self, federated_id: str, epoch: int, offer: Offer) -> None:
        session = self._registry.get(federated_id)
        # One of an older epoch is no longer the party's, though it may not know yet.
        if session is not None and session.epoch == epoch:
            session.offer_tunnel(offer)
            return
        async with self._database.transaction() as connection:
            await pass_on(connection, federated_id, offer)

    def _required_relay(self) -> Relay:
        if self._relay is None:
            raise Unavailable(
                "this server has no relay, so workloads can't reach each other through it; ask "
                "its operator to start it without --no-relay",
                kind=Kind.SERVER,
            )
        return self._relay
