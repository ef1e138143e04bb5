"""Whatever an agent sends, what is stored is bounded and consistent."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flow_contract.assignments import Report
from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.reasons import Reason
from flow_contract.tasks import MAX_EPOCHS, MAX_PARTIES
from flow_contract.template_checks import MAX_INT64
from flow_server.domain.reports import (
    MAX_GPU_IDS,
    MAX_MESSAGE_LENGTH,
    MAX_PEER_NAME_LENGTH,
    MAX_TRAFFIC,
    normalise,
)

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
    traffic=st.lists(
        st.builds(
            Traffic,
            peer=st.text(max_size=100),
            sent_bytes=st.integers(),
            received_bytes=st.integers(),
            connections=st.integers(),
        ),
        max_size=3,
    ).map(tuple),
    peer_progress=st.lists(
        st.builds(
            PeerProgress,
            federated_id=st.text(max_size=100),
            current_epoch=st.none() | st.integers(),
            total_epoch=st.none() | st.integers(),
        ),
        max_size=3,
    ).map(tuple),
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


@given(REPORTS)
def test_what_members_say_of_one_another_is_bounded(report):
    stored = normalise(report, now=NOW)

    assert len(stored.traffic) == len(report.traffic)
    for entry in stored.traffic:
        assert len(entry.peer) <= MAX_PEER_NAME_LENGTH
        for count in (entry.sent_bytes, entry.received_bytes, entry.connections):
            assert 0 <= count <= MAX_INT64
    for entry in stored.peer_progress:
        assert len(entry.federated_id) <= MAX_PEER_NAME_LENGTH
        for epoch in (entry.current_epoch, entry.total_epoch):
            assert epoch is None or 0 <= epoch <= MAX_EPOCHS
    for text in [
        *(one.peer for one in stored.traffic),
        *(one.federated_id for one in stored.peer_progress),
    ]:
        assert "\x00" not in text


def test_no_more_is_taken_of_others_than_there_can_be():
    sent = Report(
        party_run_id="p",
        sequence=1,
        state=PartyRunState.RUNNING,
        observed_at=NOW,
        traffic=(Traffic(peer="coordinator"),) * (MAX_TRAFFIC + 1),
        peer_progress=(PeerProgress(federated_id="a"),) * (MAX_PARTIES + 1),
    )
    stored = normalise(sent, now=NOW)
    assert (len(stored.traffic), len(stored.peer_progress)) == (MAX_TRAFFIC, MAX_PARTIES)
