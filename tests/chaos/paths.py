"""Whether a party run's stored moves form one legal path that ends where its row is."""

from collections.abc import Sequence
from typing import Any

from flow_contract.lifecycle import (
    PARTY_RUN_MOVES,
    Desired,
    PartyRunState,
    may_desire,
    may_report,
)


def path_findings(row: Any, events: Sequence[Any]) -> list[str]:
    """Return what is wrong with the events of one party run."""
    findings = []
    for side, is_legal in (("state", _may_move), ("desired", _may_want)):
        moves = [
            (event["from_value"], event["to_value"]) for event in events if event["side"] == side
        ]
        # What is wanted first stands in the row alone.
        at = None if side == "state" else Desired.PREPARED.value
        for source, target in moves:
            if source != at:
                findings.append(f"{row['party_run_id']}: {side} left {source}, it was at {at}")
            if source is not None and not is_legal(source, target):
                findings.append(f"{row['party_run_id']}: {side} moved {source} -> {target}")
            at = target
        if moves and at != row[side]:
            findings.append(f"{row['party_run_id']}: {side} is {row[side]}, its events end at {at}")
        if len(set(moves) - {move for move in moves if "lost" in move}) != len(
            [move for move in moves if "lost" not in move]
        ):
            findings.append(f"{row['party_run_id']}: a move of its {side} stands twice")
    return findings


def _may_move(source: str, target: str) -> bool:
    stored, reported = PartyRunState(source), PartyRunState(target)
    return may_report(stored, reported) or reported in PARTY_RUN_MOVES[stored].values()


def _may_want(source: str, target: str) -> bool:
    return may_desire(Desired(source), Desired(target))
