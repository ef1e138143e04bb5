"""A server and a site that prove who they are: real processes, real certificates."""

from flow_server_sdk import FlowServerSdk
from tests.certificates import make_pki
from tests.e2e.processes.children import run
from tests.e2e.processes.federation import Server, Site


class SecureServer(Server):
    """A server with certificates of its own; a later `start` listens where the first did."""

    def __init__(self, folder, *options, **settings):
        super().__init__(folder, *options, FEDFLOW_SERVER_INSECURE="false", **settings)
        self.pki = make_pki(folder)
        self._ports = ("0", "0", "0")
        self.agents_address = ""

    def start(self):
        grpc_port, agents_port, http_port = self._ports
        self.launch(
            "server", "--pki-dir", self.pki.path, "--port", grpc_port,
            "--agents-port", agents_port, "--http-port", http_port, *self._options,
        )  # fmt: skip
        ready = self.ready()
        self.address, self.agents_address = ready["grpc"], ready["agents"]
        self._ports = tuple(ready[name].rsplit(":", 1)[1] for name in ("grpc", "agents", "http"))

    def sdk(self):
        """Return an administrator's client."""
        host, port = self.address.rsplit(":", 1)
        token = self.pki.admin_token.read_text().strip()
        return FlowServerSdk(host, port, token=token, ca=self.pki.ca_certificate)

    def token_for(self, party):
        """Add a party; return its enrolment token."""
        with self.sdk() as sdk:
            return sdk.party.add(party)["data"]["enrolment_token"]


class SecureSite(Site):
    """One party with an identity."""

    def __init__(self, folder, party, server, *options, **settings):
        super().__init__(
            folder, party, server, *options, FEDFLOW_AGENT_INSECURE="false", **settings
        )

    def enrol(self, token, *options):
        """Run `fedflow agent enrol` to its end."""
        return run(
            "agent", "enrol", "--server", self._server.address, "--token", "-",
            "--state-dir", self._state_dir, *options, given=token,
        )  # fmt: skip

    def begin(self):
        self.launch(
            "agent", "--state-dir", self._state_dir, "--data", f"scans={self.data}",
            "--runtime", "process", *self._options,
        )  # fmt: skip
