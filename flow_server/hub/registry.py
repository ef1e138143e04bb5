"""Which parties are connected to this replica, at most one session each."""

from collections.abc import Iterator

from flow_server.hub.sessions import Session

_TAKEN_OVER = "a newer connection of this party has taken over"


class Registry:
    """Live sessions by party id."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def add(self, session: Session) -> None:
        """Enter a session; of two of one party the older one, by epoch, is ended."""
        present = self._sessions.get(session.federated_id)
        # Not by who comes last: the older one may have waited longer for its welcome to leave.
        if present is not None and present.epoch > session.epoch:
            session.end(_TAKEN_OVER)
            return
        if present is not None:
            present.end(_TAKEN_OVER)
        self._sessions[session.federated_id] = session

    def remove(self, session: Session) -> None:
        """Take a session out; a newer one of the same party stays."""
        if self._sessions.get(session.federated_id) is session:
            del self._sessions[session.federated_id]

    def get(self, federated_id: str) -> Session | None:
        """Return the party's session here, None if it has none here."""
        return self._sessions.get(federated_id)

    def held(self) -> list[tuple[str, int]]:
        """Return the (federated_id, epoch) of all sessions here."""
        return [(session.federated_id, session.epoch) for session in self._sessions.values()]

    def connected(self) -> list[str]:
        """Return the ids of all parties connected here."""
        return list(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Iterate over a copy, so that sessions may come and go meanwhile."""
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        """How many parties are connected here."""
        return len(self._sessions)
