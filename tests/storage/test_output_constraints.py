"""What must never happen to outputs is refused by the schema, whoever asks."""

import pytest

from flow_server.storage.output_tables import (
    output_files,
    output_rubbish,
    output_uploads,
    outputs,
)
from flow_server.storage.tables import party_runs, runs, tasks
from tests.storage.never import Never, refuse
from tests.storage.test_constraints import ROWS as FLOW

ROWS = {
    tasks: FLOW[tasks],
    runs: FLOW[runs],
    party_runs: FLOW[party_runs],
    outputs: {"party_run_id": "share"},
    output_files: {
        "party_run_id": "share",
        "name_key": "k",
        "name": "model",
        "upload_id": "u",
        "bytes": 5,
        "sha256": b"1" * 32,
        "blob": "b",
    },
    output_uploads: {
        "party_run_id": "share",
        "name_key": "k",
        "name": "model",
        "upload_id": "u",
        "bytes": 9_000_000,
        "blob": "b",
        "stored_parts": 2,
    },
    output_rubbish: {"blob": "b", "run_id": "run", "party_run_id": "share"},
}

NEVER = [
    Never(
        sentence="outputs of no party run",
        rule="fk_outputs_party_run_id",
        table=outputs,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="the outputs of one party run twice",
        rule="pk_outputs",
        table=outputs,
        change={},
        adds=True,
    ),
    Never(
        sentence="fewer than no files skipped",
        rule="ck_outputs_skipped_count",
        table=outputs,
        change={"skipped_count": -1, "complete": True},
    ),
    Never(
        sentence="outputs told to be kept back while more may come",
        rule="ck_outputs_last_words",
        table=outputs,
        change={"withheld": "leave.outputs"},
    ),
    Never(
        sentence="files told to be skipped while more may come",
        rule="ck_outputs_last_words",
        table=outputs,
        change={"skipped_count": 1},
    ),
    Never(
        sentence="two files of one name",
        rule="pk_output_files",
        table=output_files,
        change={},
        adds=True,
    ),
    Never(
        sentence="a file of no party run",
        rule="fk_output_files_party_run_id",
        table=output_files,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="a file of fewer than no bytes",
        rule="ck_output_files_bytes",
        table=output_files,
        change={"bytes": -1},
    ),
    Never(
        sentence="a file that begins before its blob",
        rule="ck_output_files_bytes",
        table=output_files,
        change={"offset_bytes": -1},
    ),
    Never(
        sentence="half a SHA-256",
        rule="ck_output_files_sha256",
        table=output_files,
        change={"sha256": b"1"},
    ),
    Never(
        sentence="two uploads of one name",
        rule="pk_output_uploads",
        table=output_uploads,
        change={},
        adds=True,
    ),
    Never(
        sentence="an upload of no party run",
        rule="fk_output_uploads_party_run_id",
        table=output_uploads,
        change={"party_run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="an upload of nothing",
        rule="ck_output_uploads_bytes",
        table=output_uploads,
        change={"bytes": 0, "stored_parts": 0},
    ),
    Never(
        sentence="more parts stored than there are",
        rule="ck_output_uploads_stored_parts",
        table=output_uploads,
        change={"stored_parts": 3},
    ),
    Never(
        sentence="fewer than no parts stored",
        rule="ck_output_uploads_stored_parts",
        table=output_uploads,
        change={"stored_parts": -1},
    ),
    Never(
        sentence="one blob swept twice",
        rule="pk_output_rubbish",
        table=output_rubbish,
        change={},
        adds=True,
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)
