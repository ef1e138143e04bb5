"""What must never happen to outputs is refused by the schema, whoever asks."""

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from flow_server.storage.output_tables import (
    output_files,
    output_rubbish,
    output_uploads,
    outputs,
)
from flow_server.storage.tables import party_runs, runs, tasks
from tests.storage.test_constraints import _PARTY_RUN, _RUN, _TASK

_OUTPUTS = {"party_run_id": "share"}
_FILE = {
    "party_run_id": "share",
    "name_key": "k",
    "name": "model",
    "upload_id": "u",
    "bytes": 5,
    "sha256": b"1" * 32,
    "blob": "b",
}
_UPLOAD = {
    "party_run_id": "share",
    "name_key": "k",
    "name": "model",
    "upload_id": "u",
    "bytes": 9_000_000,
    "blob": "b",
}
_RUBBISH = {"blob": "b", "run_id": "run", "party_run_id": "share"}


@pytest.mark.parametrize(
    ("rule", "table", "row"),
    [
        # Outputs of a party run that is gone never stay.
        ("fk_outputs_party_run_id", outputs, {"party_run_id": "gone"}),
        ("pk_outputs", outputs, _OUTPUTS),
        ("ck_outputs_skipped_count", outputs, _OUTPUTS | {"skipped_count": -1, "complete": True}),
        # What was kept back is never told before nothing follows.
        ("ck_outputs_last_words", outputs, _OUTPUTS | {"withheld": "leave.outputs"}),
        ("ck_outputs_last_words", outputs, _OUTPUTS | {"skipped_count": 1}),
        # Two files of one name are never seen.
        ("pk_output_files", output_files, _FILE),
        ("fk_output_files_party_run_id", output_files, _FILE | {"party_run_id": "gone"}),
        ("ck_output_files_bytes", output_files, _FILE | {"name_key": "l", "bytes": -1}),
        ("ck_output_files_bytes", output_files, _FILE | {"name_key": "l", "offset_bytes": -1}),
        ("ck_output_files_sha256", output_files, _FILE | {"name_key": "l", "sha256": b"1"}),
        # Two uploads of one name never go on beside each other.
        ("pk_output_uploads", output_uploads, _UPLOAD),
        ("fk_output_uploads_party_run_id", output_uploads, _UPLOAD | {"party_run_id": "gone"}),
        ("ck_output_uploads_bytes", output_uploads, _UPLOAD | {"name_key": "l", "bytes": 0}),
        # More parts than a file has are never stored.
        (
            "ck_output_uploads_stored_parts",
            output_uploads,
            _UPLOAD | {"name_key": "l", "stored_parts": 3},
        ),
        (
            "ck_output_uploads_stored_parts",
            output_uploads,
            _UPLOAD | {"name_key": "l", "stored_parts": -1},
        ),
        ("pk_output_rubbish", output_rubbish, _RUBBISH),
    ],
)
async def test_a_row_that_breaks_a_rule_is_refused(engine, rule, table, row):
    valid = (
        (tasks, _TASK),
        (runs, _RUN),
        (party_runs, _PARTY_RUN),
        (outputs, _OUTPUTS),
        (output_files, _FILE),
        (output_uploads, _UPLOAD | {"stored_parts": 2}),
        (output_rubbish, _RUBBISH),
    )
    async with engine.begin() as connection:
        for place, first in valid:
            await connection.execute(insert(place).values(first))
        with pytest.raises(IntegrityError) as caught:
            async with connection.begin_nested():
                await connection.execute(insert(table).values(row))
    assert f'constraint "{rule}"' in str(caught.value)
