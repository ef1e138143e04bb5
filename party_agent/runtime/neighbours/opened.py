"""The sockets that one runtime has open: one set per party run."""

from party_agent.runtime.neighbours.listening import Listening


class Opened:
    """Keeps them, so that whatever ends a workload's network closes them."""

    def __init__(self) -> None:
        self._open: dict[str, Listening] = {}

    def keep(self, party_run_id: str, listening: Listening) -> Listening:
        """Return these sockets, kept in the place of the party run's others."""
        self.shut(party_run_id)
        self._open[party_run_id] = listening
        return listening

    def shut(self, party_run_id: str) -> None:
        """Close the party run's sockets, if it has any."""
        listening = self._open.pop(party_run_id, None)
        if listening is not None:
            listening.close()

    def close(self) -> None:
        """Close all."""
        for party_run_id in list(self._open):
            self.shut(party_run_id)
