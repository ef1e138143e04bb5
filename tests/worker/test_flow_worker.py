"""What a workload's program may rely on, with the agent there, away, dying and refusing."""

import ast
import sys
import time

import pytest

from tests.arch.repository import python_files, text
from tests.worker.conftest import until

OLDEST = (3, 8)


def test_it_is_written_in_what_python_3_8_reads():
    for path in python_files("sdk/flow_worker/"):
        ast.parse(text(path), feature_version=OLDEST)


def test_it_imports_the_standard_library_alone():
    known = sys.stdlib_module_names | {"flow_worker"}
    for path in python_files("sdk/flow_worker/"):
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= known
            elif isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in known


def test_what_a_program_reports_has_arrived_when_it_ends(agent, run):
    agent.start()
    code, _, err = run(
        """
import flow_worker
for epoch in range(1, 4):
    flow_worker.metrics({"loss": 1 / epoch, "accuracy": epoch / 4}, step=epoch)
    flow_worker.progress(epoch, 3)
flow_worker.message("done")
"""
    )
    assert (code, err) == (0, "")
    assert agent.requests("/v1/progress")[-1] == {"epoch": 3, "total": 3}
    assert agent.requests("/v1/messages") == [{"text": "done"}]
    losses = [point for point in agent.points() if point["name"] == "loss"]
    assert [(point["step"], point["value"]) for point in losses] == [(1, 1), (2, 0.5), (3, 1 / 3)]
    assert all(abs(point["time"] - time.time()) < 600 for point in losses)


def test_steps_that_are_left_out_are_counted_by_name(agent, run):
    agent.start()
    run("import flow_worker as f\nfor n in ('a', 'b', 'a'): f.metric(n, 1)")
    assert [(point["name"], point["step"]) for point in agent.points()] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
    ]


def test_an_agent_that_dies_and_comes_back_misses_nothing(agent, program):
    agent.start()
    process = program(
        """
import sys, flow_worker
for line in sys.stdin:
    flow_worker.metric("loss", float(line))
    print("reported", flush=True)
"""
    )

    def report(value):
        process.stdin.write(f"{value}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "reported\n"

    report(1)
    until(lambda: agent.values() == [1])
    agent.kill()
    for value in (2, 3, 4):
        report(value)
    agent.start()
    report(5)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert agent.values() == [1, 2, 3, 4, 5]
    assert [body["dropped"] for body in agent.batches().values()].count(0) == len(agent.batches())


def test_a_program_whose_agent_is_away_ends_in_time_and_says_what_is_lost(run):
    began = time.monotonic()
    code, _, err = run("import flow_worker\nflow_worker.metric('loss', 1)")
    assert code == 0
    assert "the agent did not answer; 1 points are lost" in err
    assert time.monotonic() - began < 30


def test_no_call_waits_while_the_agent_is_away_and_what_does_not_fit_is_counted(agent, run):
    code, out, err = run(
        """
import time, flow_worker
from flow_worker.buffer import MAX_POINTS
from flow_worker.worker import current
began = time.monotonic()
for number in range(3 * MAX_POINTS):
    flow_worker.metric("loss", number)
print(time.monotonic() - began)
print(current()._buffer.dropped)
"""
    )
    assert code == 0
    took_s, dropped = out.split()
    assert float(took_s) < 30
    # A batch may already be on its way when the rest begins to give way.
    assert 39_000 <= int(dropped) <= 40_000
    assert "the oldest points are dropped" in err
    assert "points are lost" in err


def test_what_was_dropped_is_told_to_the_agent(agent, program):
    process = program(
        """
import flow_worker
from flow_worker.buffer import MAX_POINTS
for number in range(MAX_POINTS + 5000):
    flow_worker.metric("loss", number)
print("full", flush=True)
flow_worker.flush(60)
"""
    )
    assert process.stdout.readline() == "full\n"
    agent.start()
    _, err = process.communicate(timeout=60)
    dropped = sum(body["dropped"] for body in agent.batches().values())
    assert dropped > 0
    assert dropped + len(agent.points()) == 25_000
    assert f"{dropped} points were dropped" in err


@pytest.mark.parametrize(
    ("call", "notice"),
    [
        ("metric('loss', float('nan'))", "metric 'loss' is no finite number"),
        ("metric('loss', float('-inf'))", "metric 'loss' is no finite number"),
        ("metric('loss', 'much')", "metric 'loss' is no finite number"),
        ("metric('loss', 1, step=float('inf'))", "a step must be a whole number"),
        ("metric('loss', 1, step=1.5)", "a step must be a whole number"),
        ("metric('', 1)", "a metric's name has 1 to 128 characters"),
        ("metrics(7)", "metrics wants a dictionary"),
        ("progress('three')", "progress wants whole numbers"),
        ("progress(-1, 5)", "progress wants whole numbers"),
    ],
)
def test_what_can_not_be_stored_is_left_out_and_said_once(agent, run, call, notice):
    agent.start()
    code, _, err = run(
        f"import flow_worker\nfor _ in range(5): flow_worker.{call}\nflow_worker.metric('ok', 1)"
    )
    assert code == 0
    assert err.count("flow_worker:") == 1
    assert notice in err
    assert [point["name"] for point in agent.points()] == ["ok"]


def test_a_report_that_the_agent_refuses_is_said_and_the_next_ones_go_on(agent, run):
    agent.start(**{"/v1/messages": (400, "text: too rude")})
    code, _, err = run(
        "import flow_worker\nfor _ in range(3): flow_worker.message('x')\n"
        "flow_worker.metric('a', 1)"
    )
    assert code == 0
    assert err == "flow_worker: the agent refused a report: text: too rude\n"
    assert agent.values() == [1]


def test_an_agent_that_can_not_store_now_is_asked_again(agent, program):
    agent.start(**{"/v1/metrics": (507, "disk full")})
    process = program("import flow_worker\nflow_worker.metric('a', 1)\nflow_worker.flush(60)")
    until(lambda: len(agent.requests("/v1/metrics")) > 1)
    agent.kill()
    agent.start()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert agent.values() == [1]
    assert len(agent.requests("/v1/metrics")) > 2


def test_outside_of_fedflow_nothing_is_sent_and_one_line_says_so(run):
    code, out, err = run(
        """
import flow_worker
for n in range(3):
    flow_worker.metric("a", n); flow_worker.progress(n, 3); flow_worker.message("x")
print(flow_worker.flush(), flow_worker.parameters(), flow_worker.epochs(7))
print(flow_worker.party())
""",
        api="",
    )
    assert code == 0
    assert err == "flow_worker: not inside Fedflow (no FEDFLOW_API): nothing is reported\n"
    assert out.splitlines()[0] == "True {} 7"


def test_parameters_and_party_are_what_the_run_was_started_with(run):
    _, out, _ = run(
        "import flow_worker\nprint(flow_worker.parameters(), flow_worker.party().parties)",
        FEDFLOW_HYPER_PARAMETERS='["lr=0.05", "deep=true", "name=net=1", "tag=[1", "no pair"]',
        FEDFLOW_PARTIES="a,b",
    )
    wanted = {"lr": 0.05, "deep": True, "name": "net=1", "tag": "[1"}
    assert out == f"{wanted} ('a', 'b')\n"


def test_a_forked_child_reports_for_itself_and_repeats_nothing_of_its_parent(agent, run):
    agent.start()
    code, _, err = run(
        """
import os, flow_worker
flow_worker.metric("parent", 1)
child = os.fork()
if child == 0:
    flow_worker.metric("child", 1)
    flow_worker.flush(30)
    os._exit(0)
os.waitpid(child, 0)
flow_worker.metric("parent", 2)
"""
    )
    assert (code, err) == (0, "")
    named = [(point["name"], point["value"]) for point in agent.points()]
    assert sorted(named) == [("child", 1), ("parent", 1), ("parent", 2)]
    assert len({batch.rpartition("-")[0] for batch in agent.batches()}) == 2


def test_a_worker_process_of_multiprocessing_sends_its_last_words(agent, run):
    agent.start()
    code, _, err = run(
        """
import multiprocessing, flow_worker
child = multiprocessing.get_context("fork").Process(target=flow_worker.metric, args=("child", 1))
child.start()
child.join()
"""
    )
    assert (code, err) == (0, "")
    assert agent.values() == [1]


def test_many_threads_report_at_once_and_nothing_is_lost(agent, run):
    agent.start()
    code, _, _ = run(
        """
import threading, flow_worker
def work(name):
    for number in range(500):
        flow_worker.metric(name, number)
threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )
    assert code == 0
    assert len(agent.points()) == 4000
    for name in range(8):
        steps = [point["step"] for point in agent.points() if point["name"] == f"t{name}"]
        assert steps == list(range(500))


def test_a_socket_with_a_long_path_is_reached(agent, run):
    agent.start()
    long_path = agent.path.parent.joinpath(*["deeply"] * 20)
    long_path.mkdir(parents=True)
    (long_path / "api.sock").symlink_to(agent.path)
    code, _, err = run(
        "import flow_worker\nflow_worker.metric('a', 1)", api=str(long_path / "api.sock")
    )
    assert (code, err) == (0, "")
    assert agent.values() == [1]
