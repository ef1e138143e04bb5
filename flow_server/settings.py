"""What the flow server can be told, from options and from FEDFLOW_SERVER_… variables.

All problems are reported at once, each with its name.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flow_contract.access import Role


class ServerSettings(BaseSettings):
    """Settings of one flow server process."""

    model_config = SettingsConfigDict(env_prefix="FEDFLOW_SERVER_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=1235, ge=0, le=65535)
    http_port: int = Field(default=1236, ge=0, le=65535)
    # Plain text, nobody proves who he is, agents and users share one port. Only on this machine.
    insecure: bool = False
    # None means `pki` in the state directory.
    pki_dir: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    # None means the embedded PostgreSQL.
    database_url: SecretStr | None = None
    state_dir: Path | None = None
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
    # An OpenID Connect provider whose tokens are accepted too, if they are for this audience.
    oidc_issuer: str = ""
    oidc_audience: str = ""
    # Which claim names the user, and which (a path with dots) says what it is there; `oidc_roles`
    # gives those values a role here. Without a role a user may do nothing.
    oidc_user_claim: str = Field(default="sub", min_length=1)
    oidc_role_claim: str = Field(default="roles", min_length=1)
    oidc_roles: dict[str, Role] = Field(default_factory=dict)
    shutdown_grace_s: float = Field(default=2, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

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
        f"--{'-'.join(str(part) for part in item['loc']).replace('_', '-')}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]
