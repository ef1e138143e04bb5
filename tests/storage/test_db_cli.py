"""`fedflow db` migrates the database that is named, or the embedded one."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from flow_server.cli import db
from flow_server.storage.schema import head


def _db(*arguments, **environment):
    return CliRunner(env={"FEDFLOW_DATABASE_URL": None, **environment}).invoke(db, arguments)


def test_a_named_database_goes_up_and_down(empty_url):
    answer = _db("current", "--database-url", empty_url)
    assert answer.output == f"none (missing; needed: {head()})\n"

    assert _db("upgrade", FEDFLOW_DATABASE_URL=empty_url).exit_code == 0
    answer = _db("current", FEDFLOW_DATABASE_URL=empty_url)
    assert answer.output == f"{head()} (same; needed: {head()})\n"

    answer = _db("downgrade", "base", "--yes", "--database-url", empty_url)
    assert (answer.exit_code, answer.output) == (0, "the database has no schema any more\n")


@pytest.mark.postgres
def test_the_embedded_database_is_made_by_an_upgrade_only(open_dir):
    state_dir = str(open_dir / "state")
    answer = _db("current", "--state-dir", state_dir)
    assert answer.exit_code == 1
    assert "no embedded database" in answer.output
    assert not (open_dir / "state").exists()

    assert _db("upgrade", "--state-dir", state_dir).output == f"the database has schema {head()}\n"
    assert head() in _db("current", "--state-dir", state_dir).output


def test_a_downgrade_asks_first(database_url):
    answer = CliRunner().invoke(db, ["downgrade", "base", "--database-url", database_url], "n\n")
    assert answer.exit_code == 1
    assert "deleted" in answer.output
    assert "(same;" in _db("current", "--database-url", database_url).output


def test_a_mistake_is_one_sentence_and_a_true_exit_code():
    answer = _db("upgrade", "--database-url", "mysql://ann:s3cret@db/flow")
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: --database-url: 'mysql://' is no PostgreSQL URL")
    assert "s3cret" not in answer.output


def test_help_imports_no_database_library():
    program = (
        "import sys; from flow_server.cli import db\n"
        "db(['upgrade', '--help'], standalone_mode=False)\n"
        "heavy = {'sqlalchemy', 'asyncpg', 'alembic', 'structlog', 'grpc'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "--state-dir" in answer.stdout
