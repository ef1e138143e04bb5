"""Pure translation between the port's words and the engine's JSON."""

import dataclasses
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from flow_contract.reasons import Reason
from flow_contract.templates import Network
from party_agent.runtime.docker_engine import hardening
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.port import Observation, Phase, Workload

LABEL_AGENT = "io.fedflow.agent"
LABEL_ROLE = "io.fedflow.role"
LABEL_PARTY_RUN = "io.fedflow.party-run"
LABEL_SPEC = "io.fedflow.spec"
LABEL_IMAGE = "io.fedflow.image"
LABEL_NEIGHBOURS = "io.fedflow.own-name"
LABEL_LOG = "io.fedflow.log"
LABEL_LOG_MAX_BYTES = "io.fedflow.log-max-bytes"
LABEL_LOG_SITE_MAX_BYTES = "io.fedflow.log-site-max-bytes"

ROLE_WORKLOAD = "workload"
ROLE_SANDBOX = "sandbox"

_JOINED = "container:"
_NEVER = "0001-01-01T00:00:00Z"
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def container_name(party_run_id: str) -> str:
    """Return the one name that the container of this party run can have on an engine."""
    return f"fedflow-{party_run_id}"


def spec_digest(workload: Workload, cage: Cage) -> str:
    """Return what tells two containers of one party-run id apart; the same in every process."""
    # How much room a log gets is for the site to change, and the container stays the same.
    fixed = dataclasses.replace(workload, log_max_bytes=0, log_site_max_bytes=0)
    made_of = [dataclasses.asdict(fixed), dataclasses.asdict(cage)]
    text = json.dumps(made_of, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _log_labels(workload: Workload) -> dict[str, str]:
    if workload.log is None:
        return {}
    return {
        LABEL_LOG: str(workload.log),
        LABEL_LOG_MAX_BYTES: str(workload.log_max_bytes),
        LABEL_LOG_SITE_MAX_BYTES: str(workload.log_site_max_bytes),
    }


def create_body(
    workload: Workload,
    cage: Cage,
    *,
    agent_key: str,
    image_id: str,
    image_digest: str,
    sandbox_id: str | None,
) -> dict[str, Any]:
    """Return the body of the engine's create call.

    `image_id` is the engine's own id of the image that was found and reported: a tag may move
    to another image at any moment.
    `sandbox_id` names the container whose network namespace the workload joins; with None it
    gets one of its own, which has nothing but loopback unless the bridge is declared.
    """
    home = {"HOME": cage.home} if cage.home else {}
    return {
        "Image": image_id,
        "Cmd": list(workload.command) or None,
        "WorkingDir": workload.workdir,
        "Env": [f"{name}={value}" for name, value in {**home, **_env(workload, cage)}.items()],
        "User": cage.user,
        "Labels": {
            **workload.labels,
            LABEL_AGENT: agent_key,
            LABEL_ROLE: ROLE_WORKLOAD,
            LABEL_PARTY_RUN: workload.party_run_id,
            LABEL_SPEC: spec_digest(workload, cage),
            LABEL_IMAGE: image_digest,
            **({LABEL_NEIGHBOURS: workload.own_name} if workload.neighbours else {}),
            **_log_labels(workload),
        },
        "HostConfig": {
            **hardening.rights(cage, workload.binds),
            **_limits(workload),
            "NetworkMode": _network_mode(workload.network, sandbox_id),
            "DeviceRequests": _device_requests(workload),
        },
    }


def _env(workload: Workload, cage: Cage) -> dict[str, str]:
    """Return the workload's environment; what the image says of Python's modules still holds."""
    ours = [f"{bind.target}/" for bind in workload.binds if bind.is_agents]
    path = workload.env.get("PYTHONPATH", "")
    # One that the template gave takes the place of the image's, as everywhere.
    is_ours_alone = any(path.startswith(inside) for inside in ours) and ":" not in path
    if not (is_ours_alone and cage.python_path):
        return workload.env
    return {**workload.env, "PYTHONPATH": f"{cage.python_path}:{path}"}


def _network_mode(network: Network, sandbox_id: str | None) -> str:
    if network is Network.BRIDGE:
        return "bridge"
    return "none" if sandbox_id is None else f"{_JOINED}{sandbox_id}"


def _limits(workload: Workload) -> dict[str, int]:
    limits: dict[str, int] = {}
    resources = workload.resources
    if resources.cpus is not None:
        limits["NanoCpus"] = round(resources.cpus * 1e9)
    if resources.memory_bytes is not None:
        limits["Memory"] = resources.memory_bytes
        # Equal to the memory: otherwise the engine grants the same amount again as swap.
        limits["MemorySwap"] = resources.memory_bytes
    if resources.shm_bytes is not None:
        limits["ShmSize"] = resources.shm_bytes
    return limits


def _device_requests(workload: Workload) -> list[dict[str, Any]]:
    if not workload.gpu_ids:
        return []
    asked = workload.resources.gpus
    # Never a count: the engine keeps no account of GPUs and always gives the first ones.
    return [
        {
            "Driver": "nvidia",
            "DeviceIDs": list(workload.gpu_ids),
            "Capabilities": [list(asked.capabilities if asked else ("gpu",))],
        }
    ]


def joined_sandbox(container: dict[str, Any]) -> str | None:
    """Return the id of the container whose network namespace this inspected one joins."""
    mode = str(container["HostConfig"].get("NetworkMode", ""))
    return mode.removeprefix(_JOINED) if mode.startswith(_JOINED) else None


def labels(container: dict[str, Any]) -> dict[str, str]:
    """Return the labels of an inspected container."""
    return dict(container["Config"].get("Labels") or {})


def has_neighbours(container: dict[str, Any]) -> bool:
    """Say whether an inspected workload container has a network made for it."""
    return LABEL_NEIGHBOURS in labels(container)


def party_run_id(container: dict[str, Any]) -> str:
    """Return the party run of an inspected workload container."""
    return labels(container)[LABEL_PARTY_RUN]


def party_runs(containers: list[dict[str, Any]]) -> frozenset[str]:
    """Return the party runs of inspected workload containers."""
    return frozenset(party_run_id(container) for container in containers)


def running(containers: list[dict[str, Any]]) -> set[str]:
    """Return the party runs of those that run."""
    return {party_run_id(each) for each in containers if each["State"]["Running"]}


def is_workload_of(container: dict[str, Any], agent_key: str) -> bool:
    """Say whether an inspected container is a workload that this agent made."""
    found = labels(container)
    return found.get(LABEL_AGENT) == agent_key and found.get(LABEL_ROLE) == ROLE_WORKLOAD


def observation(container: dict[str, Any], *, reason: Reason = Reason.NONE) -> Observation | None:
    """Return what an inspected workload says of itself; None if it is just being removed."""
    state = container["State"]
    if state.get("Status") == "removing" or state.get("Dead"):
        return None
    found = labels(container)
    started_at = engine_time(state["StartedAt"])
    phase = Phase.EXITED
    if state["Running"]:
        phase = Phase.RUNNING
    elif started_at is None:
        phase = Phase.PREPARED
    exited = phase is Phase.EXITED
    finished_at = engine_time(state["FinishedAt"]) if exited else None
    if finished_at is not None and started_at is not None:
        # The engine takes the two from different clocks' readings: a workload that ends at
        # once can seem to have ended a fraction of a millisecond before it started.
        finished_at = max(finished_at, started_at)
    return Observation(
        party_run_id=found[LABEL_PARTY_RUN],
        phase=phase,
        exit_code=int(state["ExitCode"]) if exited else None,
        oom_killed=bool(state["OOMKilled"]),
        started_at=started_at,
        finished_at=finished_at,
        image_digest=found.get(LABEL_IMAGE, ""),
        reason=reason,
    )


def engine_time(text: str) -> datetime | None:
    """Return the engine's time stamp as aware UTC, None for the engine's 'never'."""
    if not text or text == _NEVER:
        return None
    return datetime.fromisoformat(_FRACTION.sub(r".\1", text)).astimezone(UTC)


def image_key(reference: str) -> str:
    """Return what is the same for the common spellings of one image's name."""
    plain = reference.removeprefix("docker.io/").removeprefix("library/")
    has_tag = "@" in plain or ":" in plain.rpartition("/")[2]
    return f"image {plain}" if has_tag else f"image {plain}:latest"


def image_digest(image: dict[str, Any]) -> str:
    """Return the registry's digest of an inspected image, or its id if no registry gave it."""
    for entry in image.get("RepoDigests") or ():
        _, _, digest = str(entry).rpartition("@")
        if digest:
            return digest
    return str(image["Id"])
