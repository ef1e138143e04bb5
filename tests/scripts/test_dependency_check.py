"""The dependency check, run on this repository and on copies that something is wrong with."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.arch.repository import ROOT

SCRIPT = ROOT / "scripts" / "dependency_check.py"
READ = ("pyproject.toml", "constraints.txt", "docs/dependencies.md")


@pytest.fixture
def copy(tmp_path):
    for name in READ:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def auditor(folder, *, dependencies=None, says=""):
    """A pip-audit that answers this; what it was asked lies in `asked`."""
    answer = folder / "answer.json"
    answer.write_text(says or json.dumps({"dependencies": dependencies, "fixes": []}))
    program = folder / "pip-audit"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat {answer}\n')
    program.chmod(0o755)
    return program


def check(root, audit=None, *options):
    good = {"name": "click", "version": "8", "vulns": []}
    command = audit or auditor(root, dependencies=[good])
    return subprocess.run(
        [sys.executable, SCRIPT, "--root", root, "--audit", command, *options],
        capture_output=True,
        text=True,
        check=False,
    )


def change(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new, 1))


def test_what_is_here_passes_and_the_service_is_asked_about_the_pins(copy):
    done = check(copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(copy / "constraints.txt") in (copy / "asked").read_text()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("constraints.txt", "click==", "click>=", "click is not pinned"),
        ("constraints.txt", "click==8.5.1", "click==8.*", "click is not pinned"),
        ("constraints.txt", "click==", "click=", "is no requirement"),
        ("constraints.txt", "click==8.5.1", "click==8.5.1\nClick==8.5.1", "pinned twice"),
        ("constraints.txt", "click==8.5.1\n", "", "click 8.5.1 is not in constraints.txt"),
        ("constraints.txt", "h11==0.16.0\n", "", "h11 0.16.0 is not in constraints.txt"),
        ("constraints.txt", "click==8.5.1", "click==8.4.0", "constraints.txt says 8.4.0"),
        ("constraints.txt", "click==8.5.1", "click==1.0", "is not what pyproject.toml asks for"),
        ("pyproject.toml", '"click>=8.1"', '"click>=8.1,<9"', "open above"),
        ("pyproject.toml", '"click>=8.1"', '"click"', "open above"),
        ("pyproject.toml", '"click>=8.1"', '"click>=8.1", "leftpad>=1"', "`leftpad`"),
        ("docs/dependencies.md", "| `click` |", "| `clack` |", "`click`"),
        ("docs/dependencies.md", "| `click` |", "| `clack` |", "clack is in no pyproject.toml"),
        ("docs/dependencies.md", "| argparse and much code |", "| |", "`click`"),
    ],
)
def test_a_fault_is_named_and_fails(copy, name, old, new, said):
    change(copy, name, old, new)
    done = check(copy)
    assert done.returncode == 1
    assert said in done.stderr


def test_an_advisory_fails(copy):
    vulnerability = {"id": "PYSEC-1", "fix_versions": ["9.1"]}
    known = [{"name": "click", "version": "8.5.1", "vulns": [vulnerability]}]
    done = check(copy, auditor(copy, dependencies=known))
    assert done.returncode == 1
    assert "advisory: click 8.5.1: PYSEC-1, fixed in 9.1" in done.stderr


SKIPPED = [{"name": "click", "skip_reason": "Dependency not found"}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"says": "no JSON"}, "the advisory service does not answer"),
        ({"dependencies": []}, "pip-audit looked at nothing"),
        ({"dependencies": SKIPPED}, "1 of 1 could not be asked about"),
    ],
)
def test_advisories_that_can_not_be_looked_up_are_a_warning_unless_they_are_required(
    copy, answer, said
):
    audit = auditor(copy, **answer)
    here, there = check(copy, audit), check(copy, audit, "--audit-required")
    assert (here.returncode, there.returncode) == (0, 1)
    assert "WARNING advisories were NOT checked" in here.stderr
    assert said in here.stderr
    assert said in there.stderr


def test_a_pip_audit_that_is_not_there_is_a_warning_too(copy):
    done = check(copy, copy / "nowhere")
    assert done.returncode == 0
    assert "no advisory was looked up" in done.stderr
