"""When a member of a run can make no more outputs. Pure."""

from typing import Any

from flow_contract.lifecycle import PartyRunState, is_final


def has_ended(member: dict[str, Any]) -> bool:
    """Say of a member's status whether its share is over, and all that it made is made."""
    return member["state"] in set(PartyRunState) and is_final(PartyRunState(member["state"]))


def never_ran(member: dict[str, Any]) -> bool:
    """Say whether its share is over and never ran, so that it made nothing."""
    return has_ended(member) and member["started_at"] is None
