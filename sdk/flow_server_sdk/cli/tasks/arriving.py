"""From which parties of a run more outputs may come. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from flow_contract.lifecycle import PartyRunState, is_final


def has_ended(party: dict[str, Any]) -> bool:
    """Say of a party's status whether its share is over, and all that it made is made."""
    return party["state"] in set(PartyRunState) and is_final(PartyRunState(party["state"]))


def never_began(statuses: Iterable[dict[str, Any]] | None) -> set[str]:
    """Return the parties whose share is over and never ran: nobody will bring anything."""
    return {
        each["federated_id"]
        for each in statuses or ()
        if has_ended(each) and each["started_at"] is None
    }


def awaited(parties: Iterable[dict[str, Any]], idle: set[str]) -> Sequence[dict[str, Any]]:
    """Return those of `task.outputs` from which more may come; of `idle` parties nothing does."""
    return [one for one in parties if not one["complete"] and one["party"] not in idle]
