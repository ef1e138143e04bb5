"""Which parties are connected to this replica, at most one session each."""

from collections.abc import Iterator

from flow_server.hub.sessions import Session


class Registry:
    """Live sessions by party id."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def add(self, session: Session) -> None:
        """Enter a session; an older one of the same party is ended."""
        previous = self._sessions.get(session.federated_id)
        if previous is not None:
            previous.end("a newer connection of this party has taken over")
        self._sessions[session.federated_id] = session

    def remove(self, session: Session) -> None:
        """Take a session out; a newer one of the same party stays."""
        if self._sessions.get(session.federated_id) is session:
            del self._sessions[session.federated_id]

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
