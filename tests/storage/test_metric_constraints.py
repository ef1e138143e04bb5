"""What must never happen to metrics is refused by the schema, whoever asks."""

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from flow_server.storage.metric_tables import metric_heads, metric_points
from flow_server.storage.tables import party_runs, runs, tasks
from tests.storage.test_constraints import _PARTY_RUN, _RUN, _T, _TASK

_HEAD = {"party_run_id": "share"}
_POINT = {"party_run_id": "share", "sequence": 1, "name": "loss", "step": 0, "at": _T, "value": 1.0}


@pytest.mark.parametrize(
    ("rule", "table", "row"),
    [
        ("fk_metric_heads_party_run_id", metric_heads, {"party_run_id": "gone"}),
        ("pk_metric_heads", metric_heads, _HEAD),
        ("ck_metric_heads_counts", metric_heads, _HEAD | {"stored": -1}),
        ("ck_metric_heads_counts", metric_heads, _HEAD | {"dropped": -1}),
        ("pk_metric_points", metric_points, _POINT),
        ("ck_metric_points_sequence", metric_points, _POINT | {"sequence": 0}),
        ("ck_metric_points_finite", metric_points, _POINT | {"sequence": 2, "value": float("nan")}),
        ("ck_metric_points_finite", metric_points, _POINT | {"sequence": 2, "value": float("inf")}),
    ],
)
async def test_a_row_that_breaks_a_rule_is_refused(engine, rule, table, row):
    valid = ((tasks, _TASK), (runs, _RUN), (party_runs, _PARTY_RUN))
    async with engine.begin() as connection:
        for place, first in (*valid, (metric_heads, _HEAD), (metric_points, _POINT)):
            await connection.execute(insert(place).values(first))
        with pytest.raises(IntegrityError) as caught:
            async with connection.begin_nested():
                await connection.execute(insert(table).values(row))
    assert f'constraint "{rule}"' in str(caught.value)
