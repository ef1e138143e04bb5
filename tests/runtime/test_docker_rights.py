"""The pure rules on a container's rights: every field of a request that bounds it."""

# ruff: noqa: S108 - paths of containers

from pathlib import Path
from typing import Any

import pytest

from flow_contract.templates import Network
from party_agent.runtime.docker_engine import hardening, translate
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.port import Bind, Workload
from tests.runtime.docker_support import CAGE, make_workload

GIB = 1024**3
TMPFS = "rw,exec,nosuid,nodev,size={size},mode=1777"

# What the engine's default is matters as much as what is asked for: a field that is left out
# here can be widened by nobody, and one that is not in the list fails the test below.
BOUNDS: dict[str, Any] = {
    "Privileged": False,
    "CapDrop": ["ALL"],
    "CapAdd": [],
    "SecurityOpt": ["no-new-privileges"],
    "GroupAdd": [],
    "ReadonlyRootfs": True,
    "Tmpfs": {
        "/tmp": TMPFS.format(size=GIB),
        "/var/tmp": TMPFS.format(size=64 * 1024**2),
        "/run": TMPFS.format(size=64 * 1024**2),
    },
    "Mounts": [],
    "Binds": [],
    "VolumesFrom": [],
    "Devices": [],
    "DeviceCgroupRules": [],
    "DeviceRequests": [],
    "NetworkMode": "none",
    "PidMode": "",
    "IpcMode": "private",
    "UTSMode": "",
    "UsernsMode": "",
    "CgroupnsMode": "private",
    "PublishAllPorts": False,
    "PortBindings": {},
    "PidsLimit": 100,
    "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
    "OomScoreAdj": 500,
    "OomKillDisable": False,
    "Init": True,
    "AutoRemove": False,
    "RestartPolicy": {"Name": "no"},
    "LogConfig": {"Type": "local", "Config": {"max-size": "20m", "max-file": "5"}},
}


def host_config(made: Workload, granted: Cage = CAGE) -> dict[str, Any]:
    body = translate.create_body(
        made,
        granted,
        agent_key="key",
        image_digest="sha256:1",
        image_id="sha256:2",
        sandbox_id=None,
    )
    found: dict[str, Any] = body["HostConfig"]
    return found


@pytest.mark.parametrize("field", BOUNDS)
def test_every_request_says_each_bound(field: str) -> None:
    host = host_config(make_workload())
    assert field in host
    assert host[field] == BOUNDS[field]


def test_a_request_says_nothing_about_rights_that_is_not_listed() -> None:
    assert set(host_config(make_workload())) == set(BOUNDS)
    most = make_workload(memory_bytes=GIB, network=Network.BRIDGE, gpu_ids=("0",))
    assert set(host_config(most)) - set(BOUNDS) == {"Memory", "MemorySwap"}
    assert (host_config(most)["Memory"], host_config(most)["MemorySwap"]) == (GIB, GIB)


@pytest.mark.parametrize("field", sorted(set(BOUNDS) - {"NetworkMode", "DeviceRequests"}))
def test_network_gpus_memory_and_variables_widen_nothing_else(field: str) -> None:
    most = make_workload(
        memory_bytes=GIB, network=Network.BRIDGE, gpu_ids=("0",), env={"PRIVILEGED": "1"}, user="0"
    )
    assert host_config(most)[field] == BOUNDS[field]


def test_the_user_of_a_request_is_the_decided_one_and_never_the_template_s() -> None:
    body = translate.create_body(
        make_workload(user="root"),
        CAGE,
        agent_key="key",
        image_digest="",
        image_id="sha256:2",
        sandbox_id=None,
    )
    assert body["User"] == "65532:65532"


def test_data_are_bound_read_only_and_alone() -> None:
    data = Bind(source=Path("/srv/data"), target="/data")
    output = Bind(source=Path("/srv/out"), target="/output", writable=True)
    options = {"Propagation": "rprivate", "NonRecursive": True}
    assert hardening.rights(CAGE, (data, output))["Mounts"] == [
        {
            "Type": "bind",
            "Source": "/srv/data",
            "Target": "/data",
            "ReadOnly": True,
            "BindOptions": options,
        },
        {
            "Type": "bind",
            "Source": "/srv/out",
            "Target": "/output",
            "ReadOnly": False,
            "BindOptions": options,
        },
    ]


def test_data_may_take_the_place_of_a_temporary_directory() -> None:
    data = Bind(source=Path("/srv/data"), target="/tmp/")
    assert "/tmp" not in hardening.rights(CAGE, (data,))["Tmpfs"]
