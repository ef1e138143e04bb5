"""What the flow server can be told, from options and from FEDFLOW_SERVER_… variables.

All problems are reported at once, each with its name.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LAST_PORT = 65535


class ServerSettings(BaseSettings):
    """Settings of one flow server process."""

    model_config = SettingsConfigDict(env_prefix="FEDFLOW_SERVER_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=1235, ge=0, le=65535)
    http_port: int = Field(default=1236, ge=0, le=65535)
    # Where agents dial, by certificate; users dial `port`, with a token.
    agents_port: int = Field(default=1237, ge=0, le=65535)
    # What agents are told when they enrol: host:port. Empty means the host that they dialled to
    # enrol, and this server's own port for agents.
    agents_address: str = ""
    # Plain text, nobody proves who he is, agents and users share one port. Only on this machine.
    insecure: bool = False
    # None means `pki` in the state directory.
    pki_dir: Path | None = None
    # Somebody else's certificate instead of ours, and by what clients know it. Agents' own
    # certificates are ours in any case.
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    party_certificate_days: float = Field(default=90, ge=1, le=825)
    # None means the embedded PostgreSQL.
    database_url: SecretStr | None = None
    state_dir: Path | None = None
    # Where logs and outputs lie: s3://bucket/folder and the like. None means `blobs` in the state
    # directory. All replicas need the same.
    blob_url: str | None = None
    # Of one party run's log; the rest stays at its site.
    log_bytes_per_party_run: int = Field(default=1024**3, ge=0)
    ready_file: Path | None = None
    database_connections: int = Field(default=10, ge=3, le=1000)
    # An agent that is dead for longer counts as absent, and what it ran as lost.
    lost_after_s: float = Field(default=30, ge=2, le=3600)
    # How long agents have to come back after a server that was away; their own longest
    # back-off is a minute.
    return_grace_s: float = Field(default=75, ge=0)
    # How often deadlines, absences and due retries are looked for.
    sweep_s: float = Field(default=1, gt=0)
    # Ended runs are deleted when they are older, or when the task has more newer ones; 0 keeps
    # them for ever. A task's newest run always stays.
    retention_days: float = Field(default=90, ge=0)
    retention_runs_per_task: int = Field(default=100, ge=0)
    retention_sweep_s: float = Field(default=3600, gt=0)
    shutdown_grace_s: float = Field(default=2, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        found = [
            *self._problems_of_insecure(),
            *self._problems_of_own_certificate(),
            *self._problems_of_agents_address(),
        ]
        if found:
            raise ValueError("; ".join(found))
        return self

    def _problems_of_insecure(self) -> list[str]:
        if self.insecure and not is_loopback(self.host):
            problem = (
                f"--insecure serves this machine alone, and --host {self.host} is not its "
                "loopback: use 127.0.0.1, or TLS ('fedflow server init')"
            )
            return [problem]
        return []

    def _problems_of_own_certificate(self) -> list[str]:
        given = (self.tls_cert, self.tls_key, self.tls_ca)
        if any(given) and not all(given):
            return ["--tls-cert, --tls-key and --tls-ca belong together; give all three"]
        return []

    def _problems_of_agents_address(self) -> list[str]:
        _, colon, port = self.agents_address.rpartition(":")
        is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT
        if self.agents_address and not (colon and is_port):
            return ["--agents-address must be host:port, or :port"]
        return []

    # Dead at any moment, an agent is found out by an unanswered ping (two of these), then its
    # lease runs out (renewed at most a moment before), then a sweep sees it: 9 tenths and a sweep.

    @property
    def keepalive_s(self) -> float:
        """How long a connection may be idle before a ping, and how long that may go unanswered."""
        return self.lost_after_s / 5

    @property
    def lease_s(self) -> float:
        """How long a lease lasts that nobody renews."""
        return self.lost_after_s / 2

    @property
    def lease_renewal_s(self) -> float:
        """How often a replica renews the leases of its connections."""
        return self.lost_after_s / 6


def problems(error: ValidationError) -> list[str]:
    """Return one line per problem, each with the name of its option."""
    return [
        # What concerns several options names them itself.
        f"--{'-'.join(str(part) for part in item['loc']).replace('_', '-')}: {item['msg']}"
        if item["loc"]
        else item["msg"].removeprefix("Value error, ")
        for item in error.errors(include_input=False, include_url=False)
    ]


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches `host`, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
