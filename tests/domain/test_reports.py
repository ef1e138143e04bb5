"""Whatever an agent sends, what is stored is bounded and consistent."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flow_contract.assignments import Report
from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.reasons import Reason
from flow_server.domain.reports import MAX_GPU_IDS, MAX_MESSAGE_LENGTH, normalise

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))

REPORTS = st.builds(
    Report,
    party_run_id=st.text(),
    sequence=st.integers(),
    state=st.sampled_from(list(PartyRunState)),
    reason=st.sampled_from(list(Reason)),
    message=st.text(max_size=3000),
    exit_code=st.none() | st.integers(-(2**31), 2**31 - 1),
    gpu_ids=st.lists(st.text(), max_size=5).map(tuple),
    image_digest=st.text(),
    observed_at=st.just(NOW),
    started_at=TIMES,
    finished_at=TIMES,
)


@given(REPORTS)
def test_what_is_stored_keeps_every_rule_of_the_schema(report):
    stored = normalise(report, now=NOW)

    ended = is_final(stored.state)
    assert (stored.finished_at is not None) == ended
    assert stored.exit_code is None or ended
    assert stored.reason is not Reason.NONE or not ended
    assert stored.state is not PartyRunState.SUCCEEDED or stored.exit_code == 0
    assert stored.state is not PartyRunState.LOST
    assert "\x00" not in stored.message + stored.image_digest + "".join(stored.gpu_ids)
    assert len(stored.message) <= MAX_MESSAGE_LENGTH
    assert normalise(stored, now=NOW) == stored


def test_a_flood_of_gpu_ids_is_cut():
    report = Report(
        party_run_id="a",
        sequence=1,
        state=PartyRunState.RUNNING,
        gpu_ids=("g",) * 10_000,
        observed_at=NOW,
    )
    assert len(normalise(report, now=NOW).gpu_ids) == MAX_GPU_IDS


def test_success_with_another_exit_code_is_no_success():
    report = Report(
        party_run_id="a",
        sequence=1,
        state=PartyRunState.SUCCEEDED,
        exit_code=1,
        observed_at=NOW,
    )
    stored = normalise(report, now=NOW)
    assert (stored.state, stored.reason) == (PartyRunState.FAILED, Reason.RUNTIME_ERROR)
