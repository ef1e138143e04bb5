"""The members of a run: its parties by rank, then its coordinator; and what to call them."""

from typing import Any

from flow_contract.coordination import COORDINATOR_NAME, RunRole


def members_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the status of every member of a task's run, in the order of ranks."""
    coordinator = task.get("coordinator")
    return [*(task["party_status"] or ()), *([] if coordinator is None else [coordinator])]


def name_of(member: dict[str, Any]) -> str:
    """Return what a member is called, in this run alone: a party's id, or `coordinator`."""
    return COORDINATOR_NAME if _is_coordinator(member) else str(member["federated_id"])


def title_of(member: dict[str, Any]) -> str:
    """Return the name for people: of a coordinator also where it is."""
    name = name_of(member)
    return f"{name} ({member['federated_id']})" if _is_coordinator(member) else name


def _is_coordinator(member: dict[str, Any]) -> bool:
    return bool(member.get("role") == RunRole.COORDINATOR)
