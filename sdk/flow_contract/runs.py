"""Runs: one start of a task, an immutable snapshot, and its party runs."""

from dataclasses import dataclass
from datetime import datetime

from flow_contract.coordination import PeerProgress, RunRole, Traffic
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason
from flow_contract.templates import TemplateSpec


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a run was started with; later changes of template or task don't touch it."""

    template_id: str
    template: TemplateSpec
    epochs: int
    hyper_parameter: tuple[str, ...]
    enable_smpc: bool


@dataclass(frozen=True, kw_only=True)
class PartyRun:
    """One party's share of a run, or its coordinator: exactly one container at most.

    `desired` is the server's side, all from `state` on the agent's. `reason` says why it waits
    or ended, `message` is one sentence for people. `exit_code` is None where no process ended.
    Times are aware UTC, from the site's runtime; None until they happened. The epochs and `note`
    are what the workload says of itself, None and empty while it has said nothing.
    """

    party_run_id: str
    run_id: str
    federated_id: str
    rank: int
    federated_data: str
    desired: Desired
    state: PartyRunState
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    gpu_ids: tuple[str, ...] = ()
    image_digest: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    current_epoch: int | None = None
    total_epoch: int | None = None
    note: str = ""
    role: RunRole = RunRole.PARTY
    traffic: tuple[Traffic, ...] = ()
    peer_progress: tuple[PeerProgress, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One start of a task. `number` counts a task's runs from 1; `message` says how it ended.

    `retry_of` is the failed run that this one repeats; `retry_at` says when a run that failed
    will be repeated, None if it won't be or has been. `requested_by` is the user who started it,
    empty where users were not asked who they are.
    """

    run_id: str
    task_id: str
    number: int
    status: RunStatus
    message: str
    snapshot: Snapshot
    party_runs: tuple[PartyRun, ...]
    created_at: datetime
    ended_at: datetime | None
    retry_of: str | None = None
    retry_at: datetime | None = None
    requested_by: str = ""
