"""What is to be run: options as the command lines of server and agents. Pure."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

SERVER = "server"

DataName = str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One federation on one machine.

    `data` is offered by every party, `party_data` by one. `gpu_ids` are dealt out, none given
    means that every agent looks for itself. `parent_pid` ties the children to their parent.
    """

    parties: int
    host: str = "127.0.0.1"
    port: int = 1235
    http_port: int | None = None
    runtime: str = "auto"
    data: dict[DataName, Path] = field(default_factory=dict)
    party_data: dict[str, dict[DataName, Path]] = field(default_factory=dict)
    gpu_ids: tuple[str, ...] = ()
    state_dir: Path
    log_level: str = "info"
    parent_pid: int | None = None
    insecure: bool = False

    @property
    def party_ids(self) -> list[str]:
        """The parties' ids, `party-1` to `party-n`."""
        return [f"party-{number}" for number in range(1, self.parties + 1)]

    @property
    def pki(self) -> Path:
        """Where `fedflow server init` puts the server's certificates."""
        return self.state_dir / SERVER / "pki"

    @property
    def ca(self) -> Path:
        """By what clients know the server."""
        return self.pki / "ca.pem"

    @property
    def admin_token(self) -> Path:
        """The file with the first administrator's token."""
        return self.pki / "admin.token"

    def is_enrolled(self, party: str) -> bool:
        """Say whether an earlier run has given this party's agent an identity."""
        return (self.state_dir / party / "identity").exists()

    def ready_file(self, name: str) -> Path:
        """Where server or agent says that it is ready."""
        return self.state_dir / f"{name}.ready.json"

    def server_command(self) -> list[str]:
        """Return the server's command line."""
        # Who lets us pick one port has no wish for the other.
        http_port = 0 if self.http_port is None and self.port == 0 else self.http_port
        return [
            *self._fedflow("server", SERVER),
            # All on this machine: it serves its loopback only, in plain text.
            *(["--insecure"] if self.insecure else self._agents_port()),
            *("--host", self.host),
            *("--port", str(self.port)),
            *([] if http_port is None else ["--http-port", str(http_port)]),
            # Agents are told where it is, and nobody else asks.
            *("--relay-port", "0"),
        ]

    def init_command(self) -> list[str]:
        """Return the command that makes the server's certificates."""
        return [*self._start(), "server", "init", *("--state-dir", str(self.state_dir / SERVER))]

    def enrol_command(self, party: str, server: str) -> list[str]:
        """Return the command that reads a token and gives this party's agent its identity."""
        return [
            *(*self._start(), "agent", "enrol", "--again"),
            *("--server", server),
            *("--token", "-"),
            *("--state-dir", str(self.state_dir / party)),
        ]

    def agent_command(self, party: str, server: str) -> list[str]:
        """Return the command line of one party's agent, which dials `server` (host:port)."""
        command = [
            *self._fedflow("agent", party),
            *(["--insecure", "--server", server, "--party", party] if self.insecure else []),
            *("--runtime", self.runtime),
            *("--on-exit", "stop"),
        ]
        offered = self.data | self.party_data.get(party, {})
        for name, path in offered.items():
            command += ["--data", f"{name}={path}"]
        gpu_ids = self._dealt(party)
        if gpu_ids:
            command += ["--gpus", ",".join(gpu_ids)]
        return command

    def _dealt(self, party: str) -> tuple[str, ...]:
        # All agents are on one machine: a GPU that two of them offered would be used twice.
        return self.gpu_ids[self.party_ids.index(party) :: self.parties]

    def _agents_port(self) -> list[str]:
        return ["--agents-port", "0"] if self.port == 0 else []

    def _start(self) -> list[str]:
        tie = [] if self.parent_pid is None else ["--die-with-parent", str(self.parent_pid)]
        # -P: a file in the working directory must not stand in for a library.
        return [sys.executable, "-P", "-m", "flow_server_sdk.cli", *tie]

    def _fedflow(self, command: str, name: str) -> list[str]:
        return [
            *(*self._start(), command),
            *("--state-dir", str(self.state_dir / name)),
            *("--ready-file", str(self.ready_file(name))),
            *("--log-level", self.log_level),
        ]
