"""`task start --watch` and `task watch` on a terminal, with a person's hands on the keyboard."""

import uuid

import pytest

from tests.cli.files import flow_file
from tests.cli.terminal import Terminal
from tests.e2e.processes.children import run
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres

REPORTS = """
cd "$(dirname "$FEDFLOW_API")"
printf 'a line \\033[2J\\033]0;title\\007 of the log\\n'
python3 -c '
import flow_worker
flow_worker.metric("loss", 0.25, step=3)
flow_worker.progress(3, 10)
flow_worker.message("half way")
'
"""


class Held:
    """A task that waits at a gate, and its name."""

    def __init__(self, flow, folder, script="", parties=PARTIES):
        self.flow = flow
        self.gate = flow.gate()
        name = f"t{uuid.uuid4().hex[:12]}"
        self.task = f"{name}-task"
        self.file = flow_file(folder, f"{script}\n{self.gate.script}", name=name, parties=parties)

    def terminal(self, *arguments, **settings):
        return Terminal(*arguments, FEDFLOW_SERVER=self.flow.server.address, **settings)

    def status(self):
        found = self.flow.sdk.task.list(1, 1000)["data"]["tasks"]
        return next(each["status"] for each in found if each["name"] == self.task)

    def finish(self):
        self.gate.open()
        run("task", "watch", self.task, FEDFLOW_SERVER=self.flow.server.address)


@pytest.fixture
def held(process_flow, tmp_path):
    made = []

    def make(*arguments, **fields):
        made.append(Held(process_flow, tmp_path, *arguments, **fields))
        return made[-1]

    yield make
    for each in made:
        each.finish()


def test_each_party_has_a_line_with_epoch_metric_and_note_and_the_log_is_below(held):
    task = held(REPORTS)
    with task.terminal("task", "start", task.file, "--watch", columns=110) as terminal:
        for words in (*PARTIES, "running", "3/10", "loss 0.25", "half way", "of the log"):
            terminal.until(words)
        # The run's own words never reach the terminal as what they are.
        assert "\x1b[2J" not in terminal.raw
        assert "\x1b]0;" not in terminal.raw
        task.gate.open()
        assert terminal.ended() == 0
        last = terminal.text[terminal.text.rindex("party ") :]
        assert last.count("succeeded") == 3
        assert "of the log" not in last


def test_ctrl_c_and_no_leave_the_run_alone(held):
    task = held()
    with task.terminal("task", "start", task.file, "--watch") as terminal:
        terminal.until("running")
        terminal.interrupt()
        terminal.until("Stop the task at all parties?")
        terminal.type("n\n")
        assert terminal.ended() == 130
        assert "the task goes on" in terminal.text
        assert "Traceback" not in terminal.text
    assert task.status() in {"Pending", "Running"}


def test_ctrl_c_twice_leaves_watching(held):
    task = held()
    with task.terminal("task", "start", task.file, "--watch") as terminal:
        terminal.until("running")
        terminal.interrupt()
        terminal.until("Stop the task at all parties?")
        terminal.interrupt()
        assert terminal.ended() == 130
    assert task.status() in {"Pending", "Running"}


def test_ctrl_c_and_yes_stop_the_task_and_show_its_end(held):
    task = held()
    with task.terminal("task", "start", task.file, "--watch") as terminal:
        terminal.until("Running")
        terminal.interrupt()
        terminal.until("Stop the task at all parties?")
        terminal.type("y\n")
        assert terminal.ended() == 14
        assert "Cancelled" in terminal.text
    assert task.status() == "Cancelled"


def test_watching_can_begin_later_and_a_terminal_may_change_its_size(held):
    task = held(REPORTS)
    run("task", "start", task.file, FEDFLOW_SERVER=task.flow.server.address)
    with task.terminal("task", "watch", task.task, columns=120) as terminal:
        place = terminal.until("loss 0.25")
        terminal.resize(24, 6)
        # Too narrow for it now; then wide again.
        place = terminal.until("running", after=place)
        terminal.resize(120, 30)
        terminal.until("half way", after=place)
        task.gate.open()
        assert terminal.ended() == 0


def test_colours_are_for_terminals_that_want_them(held):
    coloured = "\x1b[32m"
    task = held()
    task.gate.open()
    with task.terminal("task", "start", task.file, "--watch") as terminal:
        assert terminal.ended() == 0
        assert coloured in terminal.raw
    with task.terminal("task", "start", task.file, "--watch", NO_COLOR="1") as terminal:
        assert terminal.ended() == 0
        assert coloured not in terminal.raw
    with task.terminal("task", "list", "--no-color") as terminal:
        assert terminal.ended() == 0
        assert coloured not in terminal.raw
    with task.terminal("task", "list") as terminal:
        assert terminal.ended() == 0
        assert coloured in terminal.raw
    with task.terminal("task", "start", task.file, "--watch", TERM="dumb") as terminal:
        assert terminal.ended() == 0
        assert "\x1b" not in terminal.raw
        assert f"{task.task} Succeeded" in terminal.text


def test_a_server_that_is_killed_and_comes_back_is_waited_for(found, tmp_path):
    flow = found("--runtime", "process", "--on-exit", "stop", lost_after_s=10)
    task = Held(flow, tmp_path)
    with task.terminal("task", "start", task.file, "--watch") as terminal:
        terminal.until("Running")
        flow.server.kill()
        place = terminal.until("reconnecting…")
        flow.server.start()
        task.gate.open()
        terminal.until("Succeeded", after=place)
        assert terminal.ended() == 0
        assert "asking again" not in terminal.text
        assert "Traceback" not in terminal.text
