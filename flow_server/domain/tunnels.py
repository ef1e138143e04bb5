"""Whether one member of a run may open a connection to another, and what is said if not. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from flow_contract.coordination import PortRange, RunRole
from flow_contract.errors import Conflict, Kind, NotFound
from flow_contract.templates import TemplateSpec


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a run's template lets its members reach of each other; never changes."""

    coordinator: frozenset[int]
    mesh: Sequence[PortRange]

    def reach(self, role: RunRole, port: int) -> bool:
        """Say whether `port` of a member of this role may be reached."""
        is_own = role is RunRole.COORDINATOR and port in self.coordinator
        return is_own or any(port in ports for ports in self.mesh)


@dataclass(frozen=True, kw_only=True)
class Member:
    """What moves of one end's party run."""

    party_run_id: str
    federated_id: str
    role: RunRole
    has_ended: bool


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a connection that is to be opened. None: there is no such party run.

    `peer` is of the same run. `is_launched` and `is_over` are the run's.
    """

    run_id: str
    dialling: Member | None
    peer: Member | None
    is_launched: bool = False
    is_over: bool = False


def ports_of(template: TemplateSpec) -> Ports:
    """Return what a run of this template lets its members reach."""
    coordinator = template.coordinator
    return Ports(
        coordinator=frozenset(() if coordinator is None else coordinator.ports),
        mesh=template.mesh,
    )


def may_open(facts: Facts, ports: Ports, *, caller: str | None, port: int) -> tuple[Member, Member]:
    """Return who dials and the peer, which may be reached.

    `caller` is the party that asks, None where nobody is asked who he is.

    Raises:
        NotFound: the caller has no such party run, or its run has no such peer.
        Conflict: the run or one of the two is over or was never launched, or the port is not
            declared.
    """
    own, peer = facts.dialling, facts.peer
    if own is None or caller not in (None, own.federated_id):
        raise NotFound(
            "this party has no such party run; it may have been deleted",
            kind=Kind.PARTY_RUN,
            field="party_run_id",
        )
    if peer is None or peer.party_run_id == own.party_run_id:
        raise NotFound(
            "there is no other such party run in this run; reach one of the assignment's peers",
            kind=Kind.PARTY_RUN,
            field="peer_party_run_id",
        )
    for is_so, why in (
        (facts.is_over or own.has_ended, "the run is over"),
        (not facts.is_launched, "the run has not been launched yet; wait for the order"),
        (peer.has_ended, f"the {peer.role} at {peer.federated_id!r} has ended"),
    ):
        if is_so:
            raise Conflict(
                f"no connection can be opened: {why}", kind=Kind.RUN, subject_id=facts.run_id
            )
    if not ports.reach(peer.role, port):
        where = "coordinator.ports" if peer.role is RunRole.COORDINATOR else "mesh"
        raise Conflict(
            f"port {port} of the {peer.role} at {peer.federated_id!r} is not declared; list it in "
            f"the template's {where} and start the task again",
            kind=Kind.RUN,
            subject_id=facts.run_id,
            field="port",
        )
    return own, peer
