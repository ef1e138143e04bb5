"""A federation of real processes: one server, agents at sites, and what tests ask of them."""

import uuid
from pathlib import Path
from typing import Any

import docker

from flow_server_sdk import FlowServerSdk
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, ROLE_WORKLOAD
from party_agent.runtimes import agent_key
from party_agent.settings import AgentSettings
from tests.e2e.processes.children import DEADLINE_S, Child, processes_that_name, until
from tests.engine import containers_labelled

SUCCESS = {"ret_code": 0, "ret_msg": "success"}
PARTIES = ("hospital-a", "hospital-b", "hospital-c")
FINAL = ("Succeeded", "Failed", "Cancelled")


class Server(Child):
    """The flow server; a later `start` listens where the first did."""

    def __init__(self, folder: Path, *options: object, **settings: object) -> None:
        # By the environment: a released server that knows no such option passes it over.
        # Agents are told where the relay is, so any free port will do, each time.
        plain = {"FEDFLOW_SERVER_INSECURE": "true", "FEDFLOW_SERVER_RELAY_PORT": "0"}
        super().__init__(folder, **{**plain, **settings})
        self._options = options
        self._ports = ("0", "0")
        self.address = ""

    def start(self) -> None:
        grpc_port, http_port = self._ports
        self.launch("server", "--port", grpc_port, "--http-port", http_port, *self._options)
        ready = self.ready()
        self.address = ready["grpc"]
        self._ports = tuple(ready[name].rsplit(":", 1)[1] for name in ("grpc", "http"))


class Site(Child):
    """One party: its agent, its data, and what it has on the engine."""

    def __init__(
        self,
        folder: Path,
        party: str,
        server: Server,
        *options: object,
        client: docker.APIClient | None = None,
        **settings: object,
    ) -> None:
        plain = {
            "FEDFLOW_AGENT_INSECURE": "true",
            "FEDFLOW_AGENT_FIRST_BACKOFF_S": 0.1,
            "FEDFLOW_AGENT_MAX_BACKOFF_S": 1,
        }
        super().__init__(folder, **{**plain, **settings})
        self.party = party
        self.data = folder / "scans"
        self.data.mkdir(exist_ok=True)
        self._state_dir = folder / "state"
        self._server = server
        self._options = options
        self._client = client

    def begin(self) -> None:
        """Start the agent and don't wait until it is connected."""
        self.launch(
            "agent", "--server", self._server.address, "--party", self.party,
            "--state-dir", self._state_dir, "--data", f"scans={self.data}", *self._options,
        )  # fmt: skip

    def start(self) -> None:
        self.begin()
        self.ready()

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return this agent's containers with these labels, ended ones too."""
        if self._client is None:
            return []
        settings = AgentSettings(server="any:1", party=self.party)
        key = agent_key(settings, self._state_dir)
        found = containers_labelled(self._client, LABEL_AGENT, key)
        return [each for each in found if labels.items() <= each["Labels"].items()]

    def workloads(self) -> list[dict[str, Any]]:
        return self.containers(**{LABEL_ROLE: ROLE_WORKLOAD})

    def only_workload(self) -> dict[str, Any]:
        """Return the one workload that there is, inspected."""
        [found] = self.workloads()
        assert self._client is not None
        inspected: dict[str, Any] = self._client.inspect_container(found["Id"])
        return inspected

    def output(self, run_id: str) -> Path:
        """Return the output directory of a run whose workload wrote `env > …/env` into it."""
        [found] = self._outputs(run_id)
        return found

    def wait_for_output(self, run_id: str, name: str) -> None:
        """Wait until such a workload has written the file `name`."""
        until(
            lambda: [path for path in self._outputs(run_id) if (path / name).exists()],
            lambda: f"{self.party} never wrote {name}",
        )

    def _outputs(self, run_id: str) -> list[Path]:
        line = f"FEDFLOW_RUN_ID={run_id}"
        written = (self._state_dir / "outputs").glob("*/env")
        return [path.parent for path in written if line in path.read_text().splitlines()]

    def left(self) -> list[str]:
        """Return the names of the containers that are left."""
        return [name for each in self.containers() for name in each["Names"]]

    def processes(self) -> list[str]:
        """Return the processes that work in this agent's directory, it and its workloads."""
        return processes_that_name(str(self._state_dir))

    def remove_all(self) -> None:
        for each in self.containers():
            self._client.remove_container(each["Id"], force=True, v=True)


class Gate:
    """Holds workloads whose command has `script` in it until `open`."""

    def __init__(self, sites: list[Site]) -> None:
        self._name = f"open-{uuid.uuid4().hex}"
        self._sites = sites
        self.script = f'while [ ! -e "$FEDFLOW_DATA_DIR/{self._name}" ]; do sleep 0.05; done'

    def open(self) -> None:
        for site in self._sites:
            (site.data / self._name).touch()


class _Reached(Exception):
    """Leaves a wait before the end of the run."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__()
        self.data = data


class Federation:
    """One server and its sites, driven through FlowServerSdk."""

    def __init__(self, server: Server, sites: list[Site], image: str, database_url: str) -> None:
        self.server = server
        self.sites = sites
        self.image = image
        self.database_url = database_url
        self._gates: list[Gate] = []
        host, port = server.address.rsplit(":", 1)
        self.sdk = FlowServerSdk(host=host, port=port)

    def site(self, party: str) -> Site:
        return next(site for site in self.sites if site.party == party)

    def close(self) -> None:
        """Let go whatever a failed test still holds, and disconnect."""
        for gate in self._gates:
            gate.open()
        self.sdk.close()

    def gate(self) -> Gate:
        self._gates.append(Gate(self.sites))
        return self._gates[-1]

    def task(
        self,
        *command: str,
        parties: tuple[str, ...] = PARTIES,
        data: dict[str, str] | None = None,
        image: str = "",
        workdir: str = "",
        **template: Any,
    ) -> str:
        """Store a task of that command; every party uses its `scans` if `data` says nothing."""
        name = uuid.uuid4().hex
        made = self.sdk.template.create(
            name=name,
            image_url=image or self.image,
            workdir=workdir,
            command=list(command),
            **template,
        )
        assert made["ret_code"] == 0, made
        task = self.sdk.task.create(
            name=name,
            template_id=made["data"]["template_id"],
            remark="",
            federate_data=[
                {"federated_id": party, "federated_data": (data or {}).get(party, "scans")}
                for party in parties
            ],
        )
        assert task["ret_code"] == 0, task
        return str(task["data"]["task_id"])

    def shell(self, script: str, **fields: Any) -> str:
        return self.task("sh", "-c", script, **fields)

    def start(self, task_id: str) -> None:
        assert self.sdk.task.start(task_id) == SUCCESS

    def wait(self, task_id: str) -> dict[str, Any]:
        """Return the task at the end of its run."""
        final = self.sdk.task.wait(task_id, timeout_s=DEADLINE_S)
        assert final["ret_code"] == 0, final
        return dict(final["data"])

    def ran(self, task_id: str) -> dict[str, Any]:
        """Start the task and return it at the end of its run."""
        self.start(task_id)
        return self.wait(task_id)

    def until(self, task_id: str, condition) -> dict[str, Any]:
        """Return the task as soon as `condition` of it holds, which must be before its end."""

        def look(data: dict[str, Any]) -> None:
            if condition(data):
                raise _Reached(data)

        try:
            final = self.sdk.task.wait(task_id, timeout_s=DEADLINE_S, on_change=look)
        except _Reached as reached:
            return reached.data
        raise AssertionError(f"it ended before: {final}")

    def until_status(self, task_id: str, status: str) -> dict[str, Any]:
        return self.until(task_id, lambda data: data["status"] == status)

    def until_cleared(self) -> None:
        """Wait until no site holds a workload any more: removal follows the final report."""

        def left() -> list[str]:
            return [each["Names"] for site in self.sites for each in site.workloads()]

        until(lambda: not left(), lambda: f"left behind: {left()}")


def by_party(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a task's party status by the party's id."""
    return {item["federated_id"]: item for item in data["party_status"]}


def ends(data: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return (state, reason) by the party's id."""
    return {party: (item["state"], item["reason"]) for party, item in by_party(data).items()}


def only(data: dict[str, Any]) -> dict[str, Any]:
    """Return the status of a task's only party."""
    [item] = data["party_status"]
    return dict(item)
