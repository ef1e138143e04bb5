"""Values of what a run brings forth: logs and metrics."""

from hypothesis import strategies as st

from flow_contract.logs import (
    LogChunk,
    LogClosed,
    LogEnd,
    LogHead,
    LogRequest,
    LogState,
    PartyLog,
)
from flow_contract.metrics import MetricBatch, MetricPoints, PartyMetrics
from tests.wire.strategies import int32, int64, maybe, text, texts, times

_metric_rows = st.lists(st.tuples(text, int64, int64, st.floats(allow_nan=False)), max_size=5)
metric_points = _metric_rows.map(
    lambda rows: MetricPoints(
        names=tuple(row[0] for row in rows),
        steps=tuple(row[1] for row in rows),
        at_us=tuple(row[2] for row in rows),
        values=tuple(row[3] for row in rows),
    )
)
metric_batches = st.builds(
    MetricBatch,
    party_run_id=text,
    first_sequence=int64,
    points=metric_points,
    dropped=int64,
    withheld=text,
)
party_metrics = st.builds(
    PartyMetrics, federated_id=text, points=metric_points, dropped=int64, withheld=text
)

log_chunks = st.builds(
    LogChunk,
    party_run_id=text,
    start=int64,
    raw_bytes=int32,
    first_at=times,
    last_at=times,
    lines=int32,
    data=st.binary(max_size=12),
)
log_closed = st.builds(LogClosed, party_run_id=text, end=int64, withheld=st.booleans())
log_ends = st.builds(LogEnd, party_run_id=text, end=int64, state=st.sampled_from(LogState))
party_logs = st.builds(
    PartyLog,
    party_run_id=text,
    federated_id=text,
    rank=int32,
    start=int64,
    end=int64,
    complete=st.booleans(),
    withheld=st.booleans(),
)
log_heads = st.builds(LogHead, run_id=text, parties=st.lists(party_logs, max_size=3).map(tuple))
log_requests = st.builds(
    LogRequest,
    task_id=text,
    run_id=text,
    parties=texts,
    follow=st.booleans(),
    since=maybe(times),
    tail=maybe(int32),
    positions=st.dictionaries(text, int64, max_size=3),
)
