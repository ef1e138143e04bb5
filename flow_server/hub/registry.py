"""Which parties are connected to this replica, at most one session each."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from flow_contract.errors import FlowError, StaleLease
from flow_server.hub.sessions import Session, stale


def taken_over(federated_id: str) -> StaleLease:
    """Return the error of a connection that a newer one has replaced."""
    return stale("a newer connection of this party has taken over", federated_id)


class Registry:
    """Live sessions by party id."""

    def __init__(self, spread_s: Callable[[int], float] = lambda _: 0.0) -> None:
        """Begin empty; `spread_s` says over how long so many agents are to come back."""
        self._spread_s = spread_s
        self._sessions: dict[str, Session] = {}
        self._closed: FlowError | None = None

    def add(self, session: Session) -> None:
        """Enter a session; of two of one party the older one, by epoch, is ended."""
        present = self._sessions.get(session.federated_id)
        # Not by who comes last: the older one may have waited longer for its welcome to leave.
        if present is not None and present.epoch > session.epoch:
            session.end(taken_over(session.federated_id))
            return
        if present is not None:
            present.end(taken_over(session.federated_id))
        self._sessions[session.federated_id] = session
        if self._closed is not None:
            session.end(self._closed)

    def remove(self, session: Session) -> None:
        """Take a session out; a newer one of the same party stays."""
        if self._sessions.get(session.federated_id) is session:
            del self._sessions[session.federated_id]

    def close(self, reason: FlowError) -> None:
        """End every session, and each that is still to come."""
        self._closed = reason
        for session in self:
            session.end(reason)

    def keep(self, epochs: Mapping[str, int], among: Iterable[Session]) -> None:
        """End those of `among` whose party is not at the session's epoch, or not in `epochs`."""
        for session in among:
            if epochs.get(session.federated_id) != session.epoch:
                session.end(taken_over(session.federated_id))

    @property
    def spread_s(self) -> float:
        """Over how long the agents that are here, and one more, are to come back."""
        return self._spread_s(len(self) + 1)

    def pace(self) -> None:
        """Tell those whose number has changed much since they were told."""
        spread_s = self._spread_s(len(self))
        for session in self:
            session.pace(spread_s)

    def get(self, federated_id: str) -> Session | None:
        """Return the party's session here, None if it has none here."""
        return self._sessions.get(federated_id)

    def connected(self) -> list[str]:
        """Return the ids of all parties connected here."""
        return list(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Iterate over a copy, so that sessions may come and go meanwhile."""
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        """How many parties are connected here."""
        return len(self._sessions)
