"""The board where there is no terminal: one line per change, no colours."""

from flow_server_sdk.cli.watching.board import Board, PartyLine


class Changes:
    """Says what has changed since it was asked last."""

    def __init__(self) -> None:
        self._status = ""
        self._is_reconnecting = False
        self._said: dict[str, dict[str, str]] = {}
        self._run_id: str | None = None

    def of(self, board: Board) -> list[str]:
        """Return the lines that tell what is new."""
        lines = []
        if board.run_id != self._run_id:
            if self._run_id is not None:
                lines.append(f"started again: run {board.run_id}")
            self._run_id = board.run_id
            self._said.clear()
        if board.is_reconnecting != self._is_reconnecting:
            self._is_reconnecting = board.is_reconnecting
            lines.append("reconnecting…" if board.is_reconnecting else "connected again")
        for party in board.parties:
            before = self._said.get(party.party, {})
            now = _facts(party)
            lines += [
                f"{party.title} {text}" for key, text in now.items() if before.get(key) != text
            ]
            self._said[party.party] = now
        if board.status != self._status:
            self._status = board.status
            lines.append(f"{board.name} {board.status}")
        return lines


def _facts(party: PartyLine) -> dict[str, str]:
    """Return what is worth a line, each under a name of its own."""
    facts = {}
    if party.epoch:
        total = "" if party.total_epoch is None else f"/{party.total_epoch}"
        facts["epoch"] = f"epoch {party.epoch}{total}"
    if party.metric is not None:
        facts["metric"] = f"{party.metric[0]} {party.metric[1]:.6g}"
    if party.note:
        facts["note"] = f"says: {party.note}"
    if party.has_arrived and party.uploaded:
        facts["outputs"] = "outputs are there"
    # Last: after an end nothing more is to come.
    facts["state"] = state_of(party)
    return facts


def state_of(party: PartyLine) -> str:
    """Return a state with its reason where that says more."""
    if party.state in {"running", "succeeded"} or party.reason in {"none", ""}:
        return party.state
    return f"{party.state} ({party.reason}): {party.message}"
