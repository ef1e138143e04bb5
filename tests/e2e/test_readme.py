"""What the README shows is run as it stands there."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 120
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'sdk'}:{REPOSITORY}"}


def python_block():
    return re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)[1]


@pytest.fixture
def federation(tmp_path):
    """`fedflow dev` with three parties, ended by Ctrl-C."""
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "flow_server_sdk.cli", "dev", "--parties", "3"]
    command += ["--runtime", "process", "--port", "0", "--ready-file", str(ready)]
    dev = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    for line in dev.stdout:
        said.append(line)
        if line.startswith("ready:"):
            break
    else:
        pytest.fail(f"dev did not become ready:\n{''.join(said)}")
    yield json.loads(ready.read_text())
    dev.send_signal(signal.SIGINT)
    rest, _ = dev.communicate(timeout=DEADLINE_S)
    assert dev.returncode in (0, 130), rest
    assert not ready.exists()


@pytest.mark.postgres
def test_the_ten_lines_start_a_task_over_three_parties_and_print_each_status(federation):
    port = federation["grpc"].rsplit(":", 1)[1]
    script = python_block().replace("port=1235", f"port={port}")
    assert len(script.strip().splitlines()) <= 12

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "success"
    assert [line.split()[:3] for line in lines[1:]] == [
        [f"party-{number}", "succeeded", "0"] for number in (1, 2, 3)
    ]


def command_lines():
    page = (REPOSITORY / "README.md").read_text()
    found = re.search(r"^fedflow task start .*?(?=```)", page, re.DOTALL | re.MULTILINE)
    return found[0].splitlines()


@pytest.mark.postgres
def test_the_commands_start_the_example_and_show_its_log_and_its_curve(federation):
    said = []
    for line in command_lines():
        words = shlex.split(line)
        assert words.pop(0) == "fedflow"
        done = subprocess.run(
            [sys.executable, "-m", "flow_server_sdk.cli", *words],
            env={**ENVIRONMENT, "FEDFLOW_SERVER": federation["grpc"], "COLUMNS": "80"},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    followed, logs, curve = said
    assert "loss-curve-all Succeeded" in followed
    assert "party-1  epoch 20: weight" in logs
    assert "━ party-3" in curve
