"""Pure: the create calls of the containers that make up a network of neighbours."""

import hashlib
import json
from pathlib import Path
from typing import Any

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, LABEL_SPEC
from party_agent.runtime.neighbours import sidecar
from party_agent.runtime.neighbours.addresses import in_sandbox, itself
from party_agent.runtime.port import Workload

ROLE_NETWORK = "network"
ROLE_SIDECAR = "sidecar"
# Whose it is. Not the label of a workload: its end is no workload's end.
LABEL_NETWORK_OF = "io.fedflow.network-of"

# In the environment of the pause program: proves that a process is the one that the engine means.
MARK = "FEDFLOW_NETWORK_MARK"

_MAX_HOSTNAME = 63
_SIDECAR_MEMORY_BYTES = 128 * 1024**2
_SIDECAR_PIDS = 16


def network_name(party_run_id: str) -> str:
    """Return the one name that this party run's pause container can have on an engine."""
    return f"fedflow-network-{party_run_id}"


def sidecar_name(party_run_id: str) -> str:
    """Return the one name that this party run's sidecar can have on an engine."""
    return f"fedflow-sidecar-{party_run_id}"


def network_body(sandbox: dict[str, Any], workload: Workload) -> dict[str, Any]:
    """Return a sandbox's body with the names of the run's members, as its workload sees them."""
    own = itself(workload)
    # A machine's name may be no longer; the program that asks for it has to find itself by it.
    hostname = own.name if len(own.name) <= _MAX_HOSTNAME else f"member-{own.number}"
    hosts = {each.name: in_sandbox(each.number) for each in workload.neighbours}
    hosts[hostname] = in_sandbox(own.number)
    return {
        **sandbox,
        "Hostname": hostname,
        "Env": [f"{MARK}={new_id()}{new_id()}"],
        "Labels": {
            LABEL_AGENT: sandbox["Labels"][LABEL_AGENT],
            LABEL_ROLE: ROLE_NETWORK,
            LABEL_NETWORK_OF: workload.party_run_id,
            LABEL_SPEC: _digest([hostname, hosts]),
        },
        "HostConfig": {
            **sandbox["HostConfig"],
            "ExtraHosts": [f"{name}:{address}" for name, address in hosts.items()],
        },
    }


def sidecar_body(
    image: str, *, agent_key: str, party_run_id: str, sandbox_id: str, folder: Path
) -> dict[str, Any]:
    """Return the body of the sidecar of a sandbox: it may change that network, and nothing else."""
    return {
        "Image": image,
        "Entrypoint": ["python3"],
        "Cmd": ["-I", f"{sidecar.TARGET}/{sidecar.PROGRAM}", f"{new_id()}{new_id()}"],
        "User": "0:0",
        "WorkingDir": "/",
        "StopSignal": "SIGKILL",
        "Labels": {
            LABEL_AGENT: agent_key,
            LABEL_ROLE: ROLE_SIDECAR,
            LABEL_NETWORK_OF: party_run_id,
            LABEL_SPEC: _digest([image, sandbox_id, str(folder)]),
        },
        "HostConfig": {
            "NetworkMode": f"container:{sandbox_id}",
            "IpcMode": "none",
            "ReadonlyRootfs": True,
            "Privileged": False,
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN"],
            "SecurityOpt": ["no-new-privileges"],
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": str(folder),
                    "Target": sidecar.TARGET,
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
                }
            ],
            "PidsLimit": _SIDECAR_PIDS,
            "Memory": _SIDECAR_MEMORY_BYTES,
            "MemorySwap": _SIDECAR_MEMORY_BYTES,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "none", "Config": {}},
        },
    }


def mark_of(container: dict[str, Any]) -> str:
    """Return the NAME=VALUE in the environment of an inspected pause container's process."""
    found = [str(each) for each in container["Config"].get("Env") or ()]
    return next((each for each in found if each.startswith(f"{MARK}=")), "")


def secret_of(container: dict[str, Any]) -> str:
    """Return by what an inspected sidecar proves that it is the one."""
    return str(container["Config"]["Cmd"][-1])


def _digest(made_of: object) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
