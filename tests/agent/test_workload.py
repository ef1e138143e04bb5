import json
import stat
from dataclasses import replace

import pytest

from flow_contract.coordination import RunRole
from flow_contract.reasons import Reason
from flow_contract.templates import Network
from party_agent.policy.rules import CommandRules, NetworkMode, Rules, quick_rules
from party_agent.policy.site import Site
from party_agent.runtime.port import Bind, RuntimeRefused
from party_agent.workload import environment, make_output, make_workload
from tests.agent.fakes import make_spec


class Processes:
    def host_of(self, party_run_id, neighbour):
        return neighbour.name

    def path_of(self, bind):
        return str(bind.source)


def test_a_workload_is_told_who_and_where_it_is(tmp_path):
    site = Site(rules=quick_rules({"scans": tmp_path}))
    spec = make_spec(
        rank=1,
        env={"LR": "0.1"},
        hyper_parameter=("lr=0.1", 'quote"'),
        epochs=3,
        federated_data="scans",
    )
    workload = make_workload(spec, site, ("0", "2"), tmp_path / "outputs")
    assert workload.env == {
        "LR": "0.1",
        "FEDFLOW_TASK_ID": "t" * 32,
        "FEDFLOW_RUN_ID": "r" * 32,
        "FEDFLOW_PARTY_ID": "hospital-a",
        "FEDFLOW_ROLE": "party",
        "FEDFLOW_RANK": "1",
        "FEDFLOW_WORLD_SIZE": "2",
        "FEDFLOW_PARTIES": "hospital-a,hospital-b",
        "FEDFLOW_HYPER_PARAMETERS": json.dumps(["lr=0.1", 'quote"']),
        "FEDFLOW_EPOCHS": "3",
        "FEDFLOW_DATA_DIR": "/data",
        "FEDFLOW_OUTPUT_DIR": "/output",
    }
    assert workload.gpu_ids == ("0", "2")
    assert workload.binds == (
        Bind(source=tmp_path, target="/data"),
        Bind(source=tmp_path / "outputs" / "run1", target="/output", writable=True),
    )


def test_what_a_workload_is_told_can_not_be_written_over():
    spec = make_spec(rank=1, env={"FEDFLOW_RANK": "9"})
    assert environment(spec, has_output=False)["FEDFLOW_RANK"] == "1"


def test_a_workload_without_data_is_promised_none():
    workload = make_workload(make_spec(), Site(), (), None)
    assert "FEDFLOW_DATA_DIR" not in workload.env
    assert "FEDFLOW_OUTPUT_DIR" not in workload.env
    assert workload.binds == ()


def test_a_workload_is_given_a_socket_and_a_module_to_report_with(tmp_path):
    workload = make_workload(make_spec(), Site(), (), None, api=tmp_path / "api")
    assert workload.env["FEDFLOW_API"] == "/fedflow/api.sock"
    assert workload.env["PYTHONPATH"] == "/fedflow/python"
    made = tmp_path / "api" / "run1"
    assert workload.binds == (Bind(source=made, target="/fedflow", is_agents=True),)
    assert (made / "python" / "flow_worker" / "__init__.py").is_file()


def test_the_template_s_own_python_path_comes_first(tmp_path):
    spec = make_spec(env={"PYTHONPATH": "/app:/lib"})
    workload = make_workload(spec, Site(), (), None, api=tmp_path)
    assert workload.env["PYTHONPATH"] == "/app:/lib:/fedflow/python"


def test_placeholders_are_filled_in_with_what_the_workload_itself_sees(tmp_path):
    site = Site(rules=quick_rules({"scans": tmp_path}))
    spec = make_spec(
        command=("train", "--data={data_dir}", "--to={output_dir}", "--rank={rank}"),
        env={"WHO": "{party_id}"},
        federated_data="scans",
    )
    outputs = tmp_path / "outputs"
    contained = make_workload(spec, site, (), outputs)
    assert contained.command == ("train", "--data=/data", "--to=/output", "--rank=0")
    assert contained.env["WHO"] == "hospital-a"
    plain = make_workload(spec, site, (), outputs, ways=Processes())
    assert plain.command[1:3] == (f"--data={tmp_path}", f"--to={outputs / 'run1'}")


def test_rules_judge_the_command_as_it_will_run():
    allowed = Rules(commands=CommandRules(allowed=(("train", "--lr=0.[0-9]"),)))
    spec = make_spec(command=("train", "--lr={hyper_parameter.lr}"), hyper_parameter=("lr=0.1",))
    make_workload(spec, Site(rules=allowed), (), None)
    with pytest.raises(RuntimeRefused) as refusal:
        make_workload(
            replace(spec, hyper_parameter=("lr=0.1; rm -r /data",)), Site(rules=allowed), (), None
        )
    assert refusal.value.reason is Reason.POLICY_DENIED


def test_a_coordinator_is_told_that_it_is_one_and_knows_its_neighbours():
    spec = make_spec(
        role=RunRole.COORDINATOR, rank=2, coordinator_ports=(9000,), parties=("a-a", "b-b")
    )
    site = Site(rules=Rules(network=NetworkMode.COORDINATOR))
    workload = make_workload(spec, site, (), None)
    assert workload.env["FEDFLOW_ROLE"] == "coordinator"
    assert workload.env["FEDFLOW_RANK"] == workload.env["FEDFLOW_WORLD_SIZE"] == "2"
    assert workload.own_name == "coordinator"
    assert [each.name for each in workload.neighbours] == ["coordinator"]


def test_a_workload_that_talks_to_nobody_has_no_name():
    workload = make_workload(make_spec(), Site(), (), None)
    assert (workload.neighbours, workload.own_name) == ((), "")


def test_labels_say_to_the_site_s_people_whose_container_it_is():
    assert make_workload(make_spec(), Site(), (), None).labels == {
        "io.fedflow.task": "t" * 32,
        "io.fedflow.run": "r" * 32,
        "io.fedflow.party": "hospital-a",
    }


def test_a_refused_workload_leaves_no_directory(tmp_path):
    with pytest.raises(RuntimeRefused) as refusal:
        make_workload(make_spec(network=Network.BRIDGE), Site(), (), tmp_path / "outputs")
    assert refusal.value.reason is Reason.POLICY_DENIED
    assert list(tmp_path.iterdir()) == []


def test_the_output_directory_may_be_made_twice_and_keeps_its_content(tmp_path):
    output = make_output(tmp_path, make_spec())
    (output / "model").write_text("weights")
    assert make_output(tmp_path, make_spec()) == output
    assert (output / "model").read_text() == "weights"


def test_the_output_directory_is_nobody_else_s_until_the_runtime_gives_it_away(tmp_path):
    assert stat.S_IMODE(make_output(tmp_path, make_spec(user="app")).stat().st_mode) == 0o700
