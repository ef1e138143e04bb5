import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from flow_server_sdk.cli import main
from flow_server_sdk.cli.commands import COMMANDS
from flow_server_sdk.cli.lazy import Entry, LazyGroup

HEAVY = {"grpc", "google.protobuf", "sqlalchemy", "asyncpg", "alembic", "docker", "pydantic"}

SHOW_IMPORTS = """
import sys
from flow_server_sdk.cli import main
try:
    main(sys.argv[1:], prog_name="fedflow")
finally:
    print("IMPORTED", *sorted(sys.modules))
"""


def imported_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, *arguments],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("IMPORTED ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["dev", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    assert not imported_by(*arguments) & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_at_once(name):
    assert not imported_by(name, "--help") & HEAVY


def test_help_names_every_command():
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"  {name} " in shown and entry.help in shown for name, entry in COMMANDS.items())
    assert "die-with-parent" not in shown


def test_the_version_is_shown():
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "fedflow")


def test_an_unknown_command_is_a_usage_error():
    assert CliRunner().invoke(main, ["serve"]).exit_code == 2


@pytest.fixture
def group() -> click.Group:
    return LazyGroup(
        name="fedflow",
        entries={
            "fine": Entry(target="tests.sdk.cli_commands:fine", help="", extra="server"),
            "lacking": Entry(target="tests.sdk.cli_commands:lacking", help="", extra="server"),
            "unloadable": Entry(target="tests.sdk.cli_lacking:any", help="", extra="agent"),
            "defective": Entry(target="flow_server_sdk.nowhere:any", help="", extra="agent"),
        },
    )


def test_a_command_runs_when_named(group):
    result = CliRunner().invoke(group, ["fine"])
    assert (result.exit_code, result.output) == (0, "done\n")


@pytest.mark.parametrize(("name", "extra"), [("lacking", "server"), ("unloadable", "agent")])
def test_a_missing_library_is_named_with_its_extra(group, name, extra):
    result = CliRunner().invoke(group, [name])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: a_library_that_nobody_has is not installed; install fedflow[{extra}]\n"
    )


def test_a_missing_module_of_ours_is_a_defect_and_not_hidden(group):
    result = CliRunner().invoke(group, ["defective"])
    assert isinstance(result.exception, ModuleNotFoundError)


def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "flow_server_sdk.cli", "--help"],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: fedflow ")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--data", "scans"], "--data: 'scans' is not NAME=PATH"),
        (["--data", "=/tmp"], "--data: '=/tmp' is not NAME=PATH"),
        (["--data", "a=/", "--data", "a=/tmp"], "--data: 'a' is given twice"),
        (["--data", "a=/no/such/path"], "--data: there is no /no/such/path"),
        (["--party-data", "a=/"], "--party-data: 'a=/' is not PARTY:NAME=PATH"),
        (["--party-data", "party-4:a=/"], "--party-data: 'party-4' is none of party-1"),
        (["--party-data", "party-1:a"], "--party-data party-1: 'a' is not NAME=PATH"),
        (["--gpus", "0,,1"], "--gpus: give ids"),
        (["--gpus", "0,0,1"], "--gpus: give ids"),
        (["--gpus", "0,1"], "--gpus: 2 can't be dealt out to 3 parties"),
        (["--parties", "0"], "--parties"),
        (["--port", "65536"], "--port"),
        (["--runtime", "memory"], "--runtime"),
    ],
)
def test_dev_refuses_options_that_can_not_work_before_it_starts_anything(arguments, problem):
    result = CliRunner().invoke(main, ["dev", *arguments])
    assert result.exit_code == 2
    assert problem in result.output
