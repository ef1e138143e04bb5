"""What must never happen to logs is refused by the schema, whoever asks."""

from datetime import timedelta

import pytest

from flow_server.storage.log_tables import deleted_runs, log_chunks, logs
from flow_server.storage.tables import party_runs, runs, tasks
from tests.storage.never import Never, refuse
from tests.storage.test_constraints import ROWS as FLOW
from tests.storage.test_constraints import T

ROWS = {
    tasks: FLOW[tasks],
    runs: FLOW[runs],
    party_runs: FLOW[party_runs],
    logs: {"party_run_id": "share", "end_byte": 100},
    log_chunks: {
        "party_run_id": "share",
        "start_byte": 0,
        "raw_bytes": 100,
        "lines": 3,
        "first_at": T,
        "last_at": T,
    },
    deleted_runs: {"run_id": "gone"},
}

NEVER = [
    Never(
        sentence="a log of no party run",
        rule="fk_logs_party_run_id",
        table=logs,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="a log that ends before it begins",
        rule="ck_logs_end_byte",
        table=logs,
        change={"end_byte": -1},
    ),
    Never(
        sentence="a log that is withheld and may still come",
        rule="ck_logs_withheld",
        table=logs,
        change={"withheld": True},
    ),
    Never(
        sentence="one chunk twice",
        rule="pk_log_chunks",
        table=log_chunks,
        change={},
        adds=True,
    ),
    Never(
        sentence="a chunk of no log",
        rule="fk_log_chunks_party_run_id",
        table=log_chunks,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="a chunk before its log begins",
        rule="ck_log_chunks_start_byte",
        table=log_chunks,
        change={"start_byte": -1},
    ),
    *(
        Never(
            sentence=f"a chunk of {size} bytes",
            rule="ck_log_chunks_raw_bytes",
            table=log_chunks,
            change={"raw_bytes": size},
        )
        for size in (0, 65_537)
    ),
    Never(
        sentence="a chunk of fewer than no lines",
        rule="ck_log_chunks_lines",
        table=log_chunks,
        change={"lines": -1},
    ),
    Never(
        sentence="a chunk that ends before it begins",
        rule="ck_log_chunks_times",
        table=log_chunks,
        change={"last_at": T - timedelta(seconds=1)},
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)
