"""Who takes part in a run, and which of them a member is told of. Pure."""

from dataclasses import dataclass
from functools import cached_property

from flow_contract.coordination import COORDINATOR_NAME, Peer, RunRole, party_name


@dataclass(frozen=True, kw_only=True)
class Roster:
    """A run's members, which never change.

    `parties` are ids by rank; `coordinator` is where that one was put, None where there is none.
    `party_run_ids` are the members' by rank, the coordinator's last; () where nobody of the run
    meets anybody.
    """

    parties: tuple[str, ...]
    coordinator: str | None = None
    party_run_ids: tuple[str, ...] = ()

    def peers(self, rank: int, role: RunRole, *, mesh: bool) -> tuple[Peer, ...]:
        """Return whom the member of this rank meets: all others, or who it is to talk to."""
        if not self.party_run_ids:
            return ()
        if mesh:
            return self._everyone[:rank] + self._everyone[rank + 1 :]
        return self._parties() if role is RunRole.COORDINATOR else self._the_coordinator

    def _parties(self) -> tuple[Peer, ...]:
        return tuple(
            Peer(
                name=party_name(federated_id),
                federated_id=federated_id,
                party_run_id=party_run_id,
                rank=rank,
            )
            for rank, (federated_id, party_run_id) in enumerate(
                # Without the coordinator's, which is one more.
                zip(self.parties, self.party_run_ids, strict=False)
            )
        )

    # Kept, since every party asks for the same; a coordinator asks alone.
    @cached_property
    def _the_coordinator(self) -> tuple[Peer, ...]:
        if self.coordinator is None:
            return ()
        return (
            Peer(
                name=COORDINATOR_NAME,
                federated_id=self.coordinator,
                party_run_id=self.party_run_ids[-1],
                rank=len(self.parties),
                role=RunRole.COORDINATOR,
            ),
        )

    @cached_property
    def _everyone(self) -> tuple[Peer, ...]:
        return self._parties() + self._the_coordinator
