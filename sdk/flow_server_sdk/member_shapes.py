"""The members of a run as users see them: its parties by rank, and beside them its coordinator."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from flow_contract.coordination import COORDINATOR_NAME, PeerProgress, RunRole
from flow_contract.lifecycle import PartyRunState
from flow_contract.runs import PartyRun
from flow_server_sdk.dates import rfc822_or_none


def party_status(
    party_runs: Iterable[PartyRun], total_epoch: int | None = None
) -> list[dict[str, Any]]:
    """Return the parties by rank; what their coordinator says of them counts for their progress.

    `total_epoch` is the run's, for parties of which nobody says one.
    """
    members = list(party_runs)
    said = {
        progress.federated_id: progress
        for member in members
        for progress in member.peer_progress
        if member.role is RunRole.COORDINATOR
    }
    return [
        _member(member, total_epoch) | _progress(said.get(member.federated_id))
        for member in members
        if member.role is RunRole.PARTY
    ]


def coordinator(
    party_runs: Iterable[PartyRun], total_epoch: int | None = None
) -> dict[str, Any] | None:
    """Return the run's coordinator in the shape of a party, None where it has none.

    Its `name` is "coordinator", its `federated_id` that of the site where it is.
    """
    return next(
        (
            _member(member, total_epoch)
            for member in party_runs
            if member.role is RunRole.COORDINATOR
        ),
        None,
    )


def _member(party_run: PartyRun, total_epoch: int | None) -> dict[str, Any]:
    complete = party_run.state is PartyRunState.SUCCEEDED
    ready = complete or party_run.state is PartyRunState.RUNNING or party_run.started_at is not None
    is_party = party_run.role is RunRole.PARTY
    return {
        "name": party_run.federated_id if is_party else COORDINATOR_NAME,
        "ready": ready,
        "complete": complete,
        # What the workload says; of one that says nothing only that it has not begun is known.
        "current_epoch": 0
        if party_run.current_epoch is None and not ready
        else party_run.current_epoch,
        "total_epoch": total_epoch if party_run.total_epoch is None else party_run.total_epoch,
        "federated_id": party_run.federated_id,
        "party_run_id": party_run.party_run_id,
        "state": str(party_run.state),
        "desired": str(party_run.desired),
        "reason": str(party_run.reason),
        "message": party_run.message,
        "exit_code": party_run.exit_code,
        "gpu_ids": list(party_run.gpu_ids),
        "image_digest": party_run.image_digest,
        "started_at": rfc822_or_none(party_run.started_at),
        "finished_at": rfc822_or_none(party_run.finished_at),
        "note": party_run.note,
        "role": str(party_run.role),
        "traffic": [asdict(traffic) for traffic in party_run.traffic],
    }


def _progress(said: PeerProgress | None) -> dict[str, Any]:
    """Return what takes the place of the party's own words."""
    if said is None:
        return {}
    epochs = {"current_epoch": said.current_epoch, "total_epoch": said.total_epoch}
    known = {name: epoch for name, epoch in epochs.items() if epoch is not None}
    return {"ready": said.ready, "complete": said.complete, **known}
