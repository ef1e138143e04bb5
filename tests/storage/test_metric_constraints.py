"""What must never happen to metrics is refused by the schema, whoever asks."""

import pytest

from flow_server.storage.metric_tables import metric_heads, metric_points
from flow_server.storage.tables import party_runs, runs, tasks
from tests.storage.never import Never, refuse
from tests.storage.test_constraints import ROWS as FLOW
from tests.storage.test_constraints import T

ROWS = {
    tasks: FLOW[tasks],
    runs: FLOW[runs],
    party_runs: FLOW[party_runs],
    metric_heads: {"party_run_id": "share"},
    metric_points: {
        "party_run_id": "share",
        "sequence": 1,
        "name": "loss",
        "step": 0,
        "at": T,
        "value": 1.0,
    },
}

NEVER = [
    Never(
        sentence="points of no party run",
        rule="fk_metric_heads_party_run_id",
        table=metric_heads,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="fewer than no points stored",
        rule="ck_metric_heads_counts",
        table=metric_heads,
        change={"stored": -1},
    ),
    Never(
        sentence="fewer than no points dropped",
        rule="ck_metric_heads_counts",
        table=metric_heads,
        change={"dropped": -1},
    ),
    Never(
        sentence="one head twice",
        rule="pk_metric_heads",
        table=metric_heads,
        change={},
        adds=True,
    ),
    Never(
        sentence="one point twice",
        rule="pk_metric_points",
        table=metric_points,
        change={},
        adds=True,
    ),
    Never(
        sentence="a point before the first",
        rule="ck_metric_points_sequence",
        table=metric_points,
        change={"sequence": 0},
    ),
    *(
        Never(
            sentence=f"a point that is {value}",
            rule="ck_metric_points_finite",
            table=metric_points,
            change={"value": float(value)},
        )
        for value in ("nan", "inf", "-inf")
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)
