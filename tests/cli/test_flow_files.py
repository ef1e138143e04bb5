"""A flow's YAML file: what it gives, and every mistake on its own line."""

import json

import pytest

from flow_server_sdk.cli.flowfile.reading import read_flow_file
from flow_server_sdk.cli.flowfile.schema import json_schema
from tests.arch.repository import ROOT, text

TASK = """
task:
  name: three
  template: known
  parties: {a: scans}
"""


def test_everything_that_a_file_may_say(read):
    found = read(
        """\
        template:
          name: digits
          image_url: registry.example.org/digits:2
          workdir: /app
          command: [python, train.py, --epochs, 3, "no", no, 1.10, 08:30]
          remark: any
          hyper_parameter: {lr: 0.10, flag: no, name: two words}
          resources:
            cpus: 1.5
            memory_bytes: 2 GiB
            shm_bytes: 1048576
            pids: 100
            gpus: {count: 1, capabilities: [gpu]}
          env: {DEBUG: yes, EMPTY: }
          mounts:
            - {data_name: more, target: /more}
          user: "1000"
          network: bridge
          start_deadline_s: 1
          prepare_deadline_s: 2
          stop_grace_s: 3
          run_timeout_s: 4
          on_disconnect: {stop_after_s: 5}
          retry: {max_retries: 1, backoff_s: 2, on_nonzero_exit: true}
          coordinator:
            image_url: server:1
            workdir: /server
            command: [python, server.py, --port, 8080]
            env: {ROUNDS: 3}
            resources: {memory_bytes: 1 GiB}
            ports: [8080]
            party: hospital-a
            ends: by_itself
            decides: true
          mesh: [29500, 32768-60999, "80"]
          connect_timeout_s: 5
          framework: iflearner
        task:
          name: digits-all
          parties:
            hospital-b: scans
            hospital-a:
        start:
          epochs: 3
          hyper_parameter: [lr=0.2]
          enable_smpc: true
        """
    )
    assert found.template == {
        "name": "digits",
        "image_url": "registry.example.org/digits:2",
        "workdir": "/app",
        # As it is written, whatever YAML would make of it.
        "command": ["python", "train.py", "--epochs", "3", "no", "no", "1.10", "08:30"],
        "remark": "any",
        "hyper_parameter": ["lr=0.10", "flag=no", "name=two words"],
        "resources": {
            "cpus": 1.5,
            "memory_bytes": 2 * 1024**3,
            "shm_bytes": 1048576,
            "pids": 100,
            "gpus": {"count": 1, "capabilities": ["gpu"]},
        },
        "env": {"DEBUG": "yes", "EMPTY": ""},
        "mounts": [{"data_name": "more", "target": "/more"}],
        "user": "1000",
        "network": "bridge",
        "start_deadline_s": 1,
        "prepare_deadline_s": 2,
        "stop_grace_s": 3,
        "run_timeout_s": 4,
        "on_disconnect": {"stop_after_s": 5},
        "retry": {"max_retries": 1, "backoff_s": 2, "on_nonzero_exit": True},
        "coordinator": {
            "image_url": "server:1",
            "workdir": "/server",
            "command": ["python", "server.py", "--port", "8080"],
            "env": {"ROUNDS": "3"},
            "resources": {"memory_bytes": 1024**3},
            "ports": [8080],
            "party": "hospital-a",
            "ends": "by_itself",
            "decides": True,
        },
        "mesh": [29500, "32768-60999", 80],
        "connect_timeout_s": 5,
        "framework": "iflearner",
    }
    assert found.task.federate_data == [
        {"federated_id": "hospital-b", "federated_data": "scans"},
        {"federated_id": "hospital-a", "federated_data": ""},
    ]
    assert (found.start.epochs, found.start.hyper_parameter) == (3, ["lr=0.2"])
    assert found.start.enable_smpc


def test_parties_without_data_may_be_a_list_and_a_template_may_be_named(read):
    found = read("task: {name: all, template: digits, parties: [a, b]}")
    assert (found.template, found.task.template) == (None, "digits")
    assert [each["federated_id"] for each in found.task.federate_data] == ["a", "b"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Exception, match=r"none\.yaml: can't be read: No such file"):
        read_flow_file(tmp_path / "none.yaml", needs=["task"])


def test_the_schema_for_editors_is_fresh():
    assert json.loads(text("docs/flow.schema.json")) == json_schema(), (
        "run: python scripts/flow_schema.py"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "flows").glob("*.yaml")))
def test_every_example_can_be_read(path):
    assert read_flow_file(path, needs=["task"]).task is not None
