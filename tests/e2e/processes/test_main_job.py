"""The main job: one start runs a container at each of three parties."""

import re
from email.utils import parsedate_to_datetime

import pytest

from tests.e2e.processes.events import EngineEvents
from tests.e2e.processes.federation import PARTIES, by_party

pytestmark = pytest.mark.docker

_LOOK_AROUND = """
env > /output/env
pwd > /output/workdir
ls /sys/class/net > /output/interfaces
cat /data/scan > /output/scan
touch /data/new 2> /output/refusal && exit 3
grep -E "^(Cap|NoNew)" /proc/self/status > /output/status
cat /proc/1/comm > /output/init
"""

_LIMITS = """
env > /output/env
cd /sys/fs/cgroup
cat memory/memory.limit_in_bytes memory.max 2> /dev/null > /output/memory
cat pids/pids.max pids.max 2> /dev/null > /output/pids
cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu.max 2> /dev/null > /output/cpu
df -k /dev/shm | tail -n 1 > /output/shm
"""


def test_one_start_runs_a_container_at_each_of_three_parties(docker_flow, engine_client, image):
    flow = docker_flow
    gate = flow.gate()
    task_id = flow.shell(gate.script)
    seen = []

    def note(data):
        if data["status"] == "Running" and "Running" not in seen:
            assert all(site.only_workload()["State"]["Running"] for site in flow.sites)
            gate.open()
        seen.append(data["status"])

    with EngineEvents(engine_client, image) as events:
        flow.start(task_id)
        final = flow.sdk.task.wait(task_id, timeout_s=90, on_change=note)["data"]

    statuses = list(dict.fromkeys(seen))
    assert statuses[-2:] == ["Running", "Succeeded"]
    assert statuses[:-2] in (["Started"], ["Pending"], ["Started", "Pending"])
    assert events.parties("start", final["run_id"]) == list(PARTIES)
    digest = engine_client.inspect_image(image)["Id"]
    for item in final["party_status"]:
        assert item["state"] == "succeeded"
        assert item["reason"] == "completed"
        assert item["exit_code"] == 0
        assert item["complete"] is True
        assert item["ready"] is True
        assert item["image_digest"] == digest
        assert parsedate_to_datetime(item["started_at"]) <= parsedate_to_datetime(
            item["finished_at"]
        )
    assert [item["name"] for item in final["party_status"]] == list(PARTIES)


def test_a_workload_sees_its_data_its_output_its_environment_and_no_network(docker_flow):
    flow = docker_flow
    for site in flow.sites:
        (site.data / "scan").write_text(f"of {site.party}")
    task_id = flow.shell(
        _LOOK_AROUND, workdir="/place/for/work", env={"COLOUR": "blue"}, hyper_parameter=["lr=0.1"]
    )
    final = flow.ran(task_id)
    assert final["status"] == "Succeeded", final

    for rank, site in enumerate(flow.sites):
        output = site.output(final["run_id"])
        read = {path.name: path.read_text().strip() for path in output.iterdir()}
        environment = dict(line.split("=", 1) for line in read["env"].splitlines())
        ours = {name: value for name, value in environment.items() if name.startswith("FEDFLOW_")}
        assert ours == {
            "FEDFLOW_TASK_ID": task_id,
            "FEDFLOW_RUN_ID": final["run_id"],
            "FEDFLOW_PARTY_ID": site.party,
            "FEDFLOW_ROLE": "party",
            "FEDFLOW_RANK": str(rank),
            "FEDFLOW_WORLD_SIZE": "3",
            "FEDFLOW_PARTIES": ",".join(PARTIES),
            "FEDFLOW_HYPER_PARAMETERS": '["lr=0.1"]',
            "FEDFLOW_EPOCHS": "10",
            "FEDFLOW_DATA_DIR": "/data",
            "FEDFLOW_API": "/fedflow/api.sock",
            "FEDFLOW_OUTPUT_DIR": "/output",
        }
        assert environment["COLOUR"] == "blue"
        assert read["workdir"] == "/place/for/work"
        assert read["interfaces"] == "lo"
        assert read["scan"] == f"of {site.party}"
        assert "Read-only file system" in read["refusal"]
        assert not (site.data / "new").exists()
        assert re.search(r"CapEff:\s+0+$", read["status"], re.MULTILINE)
        assert re.search(r"NoNewPrivs:\s+1$", read["status"], re.MULTILINE)
        assert "init" in read["init"]


def test_limits_are_seen_from_inside(docker_flow):
    flow = docker_flow
    limits = {"cpus": 0.5, "memory_bytes": 64 * 1024**2, "pids": 33, "shm_bytes": 1024**2}
    task_id = flow.shell(_LIMITS, parties=PARTIES[:1], resources=limits)
    final = flow.ran(task_id)
    assert final["status"] == "Succeeded", final

    output = flow.site(PARTIES[0]).output(final["run_id"])
    assert (output / "memory").read_text().split() == [str(64 * 1024**2)]
    assert (output / "pids").read_text().split() == ["33"]
    quota, period = (output / "cpu").read_text().split()
    assert int(quota) / int(period) == 0.5
    assert (output / "shm").read_text().split()[1] == "1024"


def test_a_second_start_is_a_new_run_in_a_new_container(docker_flow):
    flow = docker_flow
    task_id = flow.shell("exit $(test $FEDFLOW_PARTY_ID = hospital-b; echo $?)")
    first, second = flow.ran(task_id), flow.ran(task_id)
    assert first["run_id"] != second["run_id"]
    runs = flow.sdk.task.runs(task_id)["data"]
    assert [run["run_id"] for run in runs["runs"]] == [second["run_id"], first["run_id"]]
    assert {p: item["exit_code"] for p, item in by_party(second).items()} == {
        "hospital-a": 1,
        "hospital-b": 0,
        "hospital-c": 1,
    }
    assert second["status"] == "Failed"


def test_sites_are_listed_with_what_they_have(docker_flow):
    data = docker_flow.sdk.party.list(page=1, limit=100)["data"]
    assert data["party_count"] == len(data["parties"])
    listed = {item["federated_id"]: item for item in data["parties"]}
    for party in PARTIES:
        item = listed[party]
        assert item["connected"] is True
        assert item["runtime"] == "docker"
        assert item["gpu_ids"] == ["0", "1"]
        assert item["data_names"] == ["scans"]
