"""What is read before a tunnel is opened, and how its offer gets to the replica it is for."""

import json
from collections import OrderedDict
from dataclasses import dataclass

import asyncpg

from flow_contract.coordination import RunRole
from flow_contract.tunnels import Offer, Ticket
from flow_server.domain.tunnels import Facts, Member, Ports, ports_of
from flow_server.storage.changes import notify_offer
from flow_server.storage.database import Connection
from flow_server.storage.documents import to_snapshot
from flow_server.storage.statements import Statement

# Some hundred bytes each.
_KNOWN_RUNS = 4096

# All that moves, in one statement: it sees one moment.
_FACTS = Statement(
    """
    SELECT own.run_id, own.federated_id, own.role, own.finished_at IS NOT NULL AS has_ended,
      runs.ended_at IS NOT NULL AS is_over, runs.launch_ordered_at IS NOT NULL AS is_launched,
      peer.party_run_id AS peer_party_run_id, peer.federated_id AS peer_federated_id,
      peer.role AS peer_role, peer.finished_at IS NOT NULL AS peer_has_ended,
      parties.epoch AS peer_epoch,
      coalesce(parties.owner_id IS NOT NULL AND parties.lease_expires_at > now(), false)
        AS is_peer_connected,
      coalesce(parties.inventory ->> 'direct_address', '') AS direct_address,
      CAST(:serial AS text) = '' OR EXISTS (
        SELECT 1 FROM certificates
        WHERE serial = CAST(:serial AS text) AND certificates.federated_id = own.federated_id
          AND revoked_at IS NULL AND not_after > now()
      ) AS is_admitted
    FROM party_runs own JOIN runs USING (run_id)
    LEFT JOIN party_runs peer
      ON peer.run_id = own.run_id AND peer.party_run_id = CAST(:peer_party_run_id AS text)
    LEFT JOIN parties ON parties.federated_id = peer.federated_id
    WHERE own.party_run_id = CAST(:party_run_id AS text)
    """
)
_SNAPSHOT = Statement("SELECT snapshot FROM runs WHERE run_id = CAST(:run_id AS text)")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to know, as it is now.

    `is_admitted`: the certificate that was asked about is good. `direct_address` is the peer's.
    """

    facts: Facts
    is_admitted: bool = False
    peer_epoch: int = 0
    is_peer_connected: bool = False
    direct_address: str = ""


class TunnelReader:
    """Reads what decides on a tunnel, and keeps in mind what of recent runs never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Ports] = OrderedDict()

    async def find(
        self, connection: Connection, *, party_run_id: str, peer_party_run_id: str, serial: str
    ) -> Found:
        """Return what is known of this pair; `serial` "" asks about no certificate."""
        rows = await _FACTS.rows(
            connection,
            party_run_id=party_run_id,
            peer_party_run_id=peer_party_run_id,
            serial=serial,
        )
        if not rows:
            return Found(facts=Facts(run_id="", dialling=None, peer=None))
        [row] = rows
        return Found(
            facts=Facts(
                run_id=row["run_id"],
                dialling=Member(
                    party_run_id=party_run_id,
                    federated_id=row["federated_id"],
                    role=RunRole(row["role"]),
                    has_ended=row["has_ended"],
                ),
                peer=_peer(row),
                is_launched=row["is_launched"],
                is_over=row["is_over"],
            ),
            is_admitted=row["is_admitted"],
            peer_epoch=row["peer_epoch"] or 0,
            is_peer_connected=row["is_peer_connected"],
            direct_address=row["direct_address"],
        )

    async def ports(self, connection: Connection, run_id: str) -> Ports:
        """Return what the run's members may reach of each other; nothing of one that is gone."""
        if run_id not in self._known:
            rows = await _SNAPSHOT.rows(connection, run_id=run_id)
            if not rows:
                return Ports(coordinator=frozenset(), mesh=())
            self._known[run_id] = ports_of(to_snapshot(rows[0]["snapshot"]).template)
            while len(self._known) > _KNOWN_RUNS:
                self._known.popitem(last=False)
        return self._known[run_id]


async def pass_on(connection: Connection, federated_id: str, offer: Offer) -> None:
    """Give an offer to whichever replica this party's agent is connected to, at the commit."""
    await notify_offer(connection, offer_to_text(federated_id, offer))


def offer_to_text(federated_id: str, offer: Offer) -> str:
    """Return an offer and whom it is for as one line, of less than 1000 bytes."""
    return json.dumps(
        {
            "to": federated_id,
            "tunnel_id": offer.ticket.tunnel_id.hex(),
            "secret": offer.ticket.secret.hex(),
            "relay_address": offer.ticket.relay_address,
            "direct_address": offer.ticket.direct_address,
            "party_run_id": offer.party_run_id,
            "peer_party_run_id": offer.peer_party_run_id,
            "peer_federated_id": offer.peer_federated_id,
            "port": offer.port,
        }
    )


def offer_from_text(text: str) -> tuple[str, Offer]:
    """Return whom an offer is for, and the offer."""
    said = json.loads(text)
    return said["to"], Offer(
        ticket=Ticket(
            tunnel_id=bytes.fromhex(said["tunnel_id"]),
            secret=bytes.fromhex(said["secret"]),
            relay_address=said["relay_address"],
            direct_address=said["direct_address"],
        ),
        party_run_id=said["party_run_id"],
        peer_party_run_id=said["peer_party_run_id"],
        peer_federated_id=said["peer_federated_id"],
        port=said["port"],
    )


def _peer(row: asyncpg.Record) -> Member | None:
    if row["peer_party_run_id"] is None:
        return None
    return Member(
        party_run_id=row["peer_party_run_id"],
        federated_id=row["peer_federated_id"],
        role=RunRole(row["peer_role"]),
        has_ended=row["peer_has_ended"],
    )
