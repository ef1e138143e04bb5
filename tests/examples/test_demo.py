"""`make demo`, without the installing: what people see of it, and what a script hears."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.e2e.processes.children import environment

pytestmark = pytest.mark.postgres

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
PARTIES = ["party-1", "party-2", "party-3"]
DEADLINE_S = 300


def command(*arguments):
    start = [sys.executable, str(DEMO), "--workload", "numpy", "--runtime", "process"]
    return [*start, *map(str, arguments)]


def demo(*arguments):
    return subprocess.run(
        command(*arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_without_a_terminal_it_writes_plain_lines_and_leaves_the_better_model(tmp_path):
    done = demo("--epochs", 6, "--to", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for party in PARTIES:
        assert f"{party} succeeded" in lines
        assert f"{party} outputs are there" in lines
        assert (tmp_path / party / "model.npz").stat().st_size > 0
    shared = (tmp_path / "coordinator" / "model.npz").read_bytes()
    assert shared == (tmp_path / "party-2" / "model.npz").read_bytes()
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    [together] = re.findall(r"together ([0-9.]+), the best of them alone ([0-9.]+)", done.stdout)
    assert float(together[0]) > float(together[1])
    assert "party-1 alone" in done.stdout
    assert "digits Succeeded" in lines
    assert any("\u2800" < letter <= "\u28ff" for letter in done.stdout)
    assert "━ party-3" in done.stdout


def test_on_a_terminal_it_shows_the_live_view_and_ends_as_its_user_says():
    with Terminal(program=command("--epochs", 1000), columns=120) as terminal:
        for words in ("running", "/1000", "accuracy ", "epoch "):
            terminal.until(words)
        assert "\x1b[?25l" in terminal.raw  # drawn over, not written below
        terminal.interrupt()
        terminal.until("Stop the task at all parties?")
        terminal.type("y\n")
        assert terminal.ended() == 14
        assert "Cancelled" in terminal.text
        assert "Traceback" not in terminal.text


def test_what_can_not_be_started_is_no_success():
    done = demo("--epochs", -1)
    assert done.returncode == 2
    assert "start.epochs" in done.stderr
