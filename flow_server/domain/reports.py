"""What of an agent's report may enter the database.

An agent is another organisation's machine: what it sends is bounded and made consistent here,
so that one odd report can't spoil the batch that carries it.
"""

from dataclasses import replace
from datetime import datetime

from flow_contract.assignments import Report
from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.ids import ID_LENGTH
from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.reasons import Reason, sentence
from flow_contract.tasks import MAX_EPOCHS, MAX_PARTIES
from flow_contract.template_checks import MAX_INT64

MAX_MESSAGE_LENGTH = 2000
MAX_DIGEST_LENGTH = 300
MAX_NOTE_LENGTH = 1000
MAX_GPU_IDS = 1024
MAX_GPU_ID_LENGTH = 128
# More than a mesh has members.
MAX_TRAFFIC = 512
MAX_PEER_NAME_LENGTH = 80


def normalise(report: Report, *, now: datetime) -> Report:
    """Return the report with every field in bounds and what its state demands.

    A final state has a reason and a finish time, no other has an exit code, and `succeeded`
    means exit code 0.
    """
    ended = is_final(report.state)
    state, reason, exit_code = report.state, report.reason, report.exit_code
    if state is PartyRunState.LOST:
        # Only the server says so; from an agent it means that it does not know.
        state, ended, reason, exit_code = (
            PartyRunState.FAILED,
            True,
            Reason.WORKLOAD_VANISHED,
            None,
        )
    if state is PartyRunState.SUCCEEDED and exit_code != 0:
        state, reason = PartyRunState.FAILED, Reason.RUNTIME_ERROR
    if ended and reason is Reason.NONE:
        reason = Reason.COMPLETED if state is PartyRunState.SUCCEEDED else Reason.RUNTIME_ERROR
    return replace(
        report,
        party_run_id=_text(report.party_run_id, ID_LENGTH),
        state=state,
        reason=reason,
        exit_code=exit_code if ended else None,
        message=_text(report.message, MAX_MESSAGE_LENGTH) or sentence(reason),
        image_digest=_text(report.image_digest, MAX_DIGEST_LENGTH),
        gpu_ids=tuple(_text(gpu, MAX_GPU_ID_LENGTH) for gpu in report.gpu_ids[:MAX_GPU_IDS]),
        finished_at=(report.finished_at or now) if ended else None,
        current_epoch=_epoch(report.current_epoch),
        total_epoch=_epoch(report.total_epoch),
        note=_text(report.note, MAX_NOTE_LENGTH),
        traffic=tuple(_traffic(entry) for entry in report.traffic[:MAX_TRAFFIC]),
        peer_progress=tuple(_progress(entry) for entry in report.peer_progress[:MAX_PARTIES]),
    )


def _traffic(entry: Traffic) -> Traffic:
    return Traffic(
        peer=_text(entry.peer, MAX_PEER_NAME_LENGTH),
        sent_bytes=_count(entry.sent_bytes),
        received_bytes=_count(entry.received_bytes),
        connections=_count(entry.connections),
    )


def _progress(entry: PeerProgress) -> PeerProgress:
    return replace(
        entry,
        federated_id=_text(entry.federated_id, MAX_PEER_NAME_LENGTH),
        current_epoch=_epoch(entry.current_epoch),
        total_epoch=_epoch(entry.total_epoch),
    )


def _count(value: int) -> int:
    return min(max(value, 0), MAX_INT64)


def _epoch(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= MAX_EPOCHS else None


def _text(value: str, max_chars: int) -> str:
    return value.replace("\x00", "")[:max_chars]
