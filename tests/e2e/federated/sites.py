"""A server and sites as processes, each in a network of its own, with real certificates."""

import subprocess
import uuid
from pathlib import Path

from flow_server_sdk import FlowServerSdk
from tests.certificates import make_pki
from tests.e2e.processes.children import command, environment, run, until
from tests.e2e.processes.federation import Server
from tests.e2e.processes.secured import SecureSite

COMMAND_S = 120


def python(program, *arguments):
    """Return the command that runs one of `programs` in a container."""
    text = (Path(__file__).parent / "programs" / f"{program}.py").read_text()
    return ["python3", "-c", text, *map(str, arguments)]


class FederatedServer(Server):
    """A server with certificates of its own, in the network's middle."""

    def __init__(self, folder, network, *options, **settings):
        super().__init__(folder, *options, FEDFLOW_SERVER_INSECURE="false", **settings)
        self.within = network.within(network.server)
        self._host = network.server_host
        self.pki = make_pki(folder, names=(self._host,))
        self._ports = ("0", "0", "0")
        self.relay_address = ""

    def start(self):
        """Start it; again, where it listened before."""
        grpc_port, agents_port, http_port = self._ports
        self.launch(
            "server", "--host", self._host, "--pki-dir", self.pki.path, "--port", grpc_port,
            "--agents-port", agents_port, "--http-port", http_port, *self._options,
        )  # fmt: skip
        ready = self.ready()
        self.address, self.relay_address = ready["grpc"], ready["relay"]
        self._ports = tuple(ready[name].rsplit(":", 1)[1] for name in ("grpc", "agents", "http"))

    @property
    def known(self):
        """What a client has to be told."""
        return {
            "FEDFLOW_SERVER": self.address,
            "FEDFLOW_TOKEN_FILE": self.pki.admin_token,
            "FEDFLOW_CA": self.pki.ca_certificate,
        }

    def sdk(self):
        host, port = self.address.rsplit(":", 1)
        token = self.pki.admin_token.read_text().strip()
        return FlowServerSdk(host, port, token=token, ca=self.pki.ca_certificate)


class FederatedSite(SecureSite):
    """One party in a network of its own, on the engine that all share."""

    def __init__(self, folder, party, server, network, *options, client, **settings):
        super().__init__(folder, party, server, *options, client=client, **settings)
        self.namespace = network.add_site(party)
        self.within = network.within(self.namespace)

    def join(self, token):
        """Enrol from within the site's own network."""
        done = subprocess.run(
            [*self.within, *command("agent", "enrol", "--server", self._server.address,
                                    "--token", "-", "--state-dir", self._state_dir)],
            env=environment(), input=token, capture_output=True, text=True,
            timeout=COMMAND_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def outputs(self):
        """Return the folder of what workloads make here."""
        return self._state_dir / "outputs"

    def begin(self):
        self.launch(
            "agent", "--state-dir", self._state_dir, "--data", f"digits={self.data}",
            "--runtime", "docker", *self._options,
        )  # fmt: skip


class Federated:
    """The federation, driven as a user would: by files and FlowServerSdk."""

    def __init__(self, server, sites, network):
        self.server = server
        self.sites = sites
        self.network = network
        self.sdk = server.sdk()

    def site(self, party):
        return next(site for site in self.sites if site.party == party)

    def task(self, image, program, *arguments, parties, **template):
        """Store a task in which parties run one of `programs`; return its id."""
        return self.commanded(image, python(program, *arguments), parties, **template)

    def shell(self, image, script, *, parties, **template):
        """Store a task in which parties run that script; return its id."""
        return self.commanded(image, ["sh", "-c", script], parties, **template)

    def commanded(self, image, command, parties, **template):
        """Store a task in which parties run that command; return its id."""
        name = uuid.uuid4().hex
        made = self.sdk.template.create(
            name=name, image_url=image, workdir="/tmp",  # noqa: S108  the container's own
            command=command, **template,
        )  # fmt: skip
        assert made["ret_code"] == 0, made
        task = self.sdk.task.create(
            name=name, template_id=made["data"]["template_id"], remark="",
            federate_data=[
                {"federated_id": party, "federated_data": "digits"} for party in parties
            ],
        )  # fmt: skip
        assert task["ret_code"] == 0, task
        return str(task["data"]["task_id"])

    def start(self, task_id):
        """Start it."""
        answer = self.sdk.task.start(task_id)
        assert answer["ret_code"] == 0, answer

    def started(self, path):
        """Start the task of a file; return its id."""
        done = run("task", "start", path, "-o", "id", **self.server.known)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ended(self, task_id, *, timeout_s, on_change=None):
        """Return the task at the end of its run."""
        final = self.sdk.task.wait(task_id, timeout_s=timeout_s, on_change=on_change)
        assert final["ret_code"] == 0, final
        return final["data"]

    def lines(self, task_id, party=None):
        """Return the text of what was written, of one party or of all."""
        found = self.sdk.task.logs(task_id, party=party)
        return [line.text for line in found]

    def until_cleared(self):
        """Wait until no site holds a container of a run any more."""

        def left():
            return [each["Names"] for site in self.sites for each in site.workloads()]

        until(lambda: not left(), lambda: f"left behind: {left()}")

    def close(self):
        self.sdk.close()
