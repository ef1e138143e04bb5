"""What the flow server can be told, from options and from FEDFLOW_SERVER_… variables.

All problems are reported at once, each with its name; then, once each is right by itself, all
those that contradict one another. What has to fit the agents' settings they are told when they
connect, and they say so where it does not.
"""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flow_contract.access import Role
from flow_server.contradictions import contradictions

# However long leases are: people look at the tasks of those who are away.
MOST_SPREAD_S = 30.0
DEFAULT_RELAY_PORT = 1238


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
    # Where agents meet, so that workloads of one run can talk: ciphertext, which passes through.
    relay: bool = True
    # Empty means `host`.
    relay_host: str = ""
    # None means 1238, or any free one where `port` is any.
    relay_port: int | None = Field(default=None, ge=0, le=65535)
    # What agents are told: host:port, or :port with the host by which they dial their server.
    # Empty means the latter with `relay_port`. Of several replicas each needs its own.
    relay_address: str = Field(default="", max_length=260)
    # A connection in which nothing moves for so long is broken off.
    relay_idle_s: float = Field(default=3600, gt=0)
    # Connections of workloads at once, and dials of whoever has not proven yet who he is.
    relay_tunnels: int = Field(default=4096, ge=2)
    relay_strangers: int = Field(default=4096, ge=2)
    # Plain text, nobody proves who he is, agents and users share one port. Only on this machine.
    insecure: bool = False
    # None means `pki` in the state directory.
    pki_dir: Path | None = None
    # Somebody else's certificate instead of ours, and by what clients know it. Agents' own
    # certificates are ours in any case.
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    party_certificate_days: float = Field(default=90, gt=0, le=825)
    # None means the embedded PostgreSQL.
    database_url: SecretStr | None = None
    state_dir: Path | None = None
    # Where logs and outputs lie: s3://bucket/folder and the like. None means `blobs` in the state
    # directory. All replicas need the same.
    blob_url: str | None = None
    # Of one party run's log; the rest stays at its site.
    log_bytes_per_party_run: int = Field(default=1024**3, ge=0)
    # Of one file of a party run, of all of them, and how many; the rest stays at its site.
    output_bytes_per_file: int = Field(default=16 * 1024**3, ge=0)
    output_bytes_per_party_run: int = Field(default=256 * 1024**3, ge=0)
    output_files_per_party_run: int = Field(default=20_000, ge=0)
    ready_file: Path | None = None
    database_connections: int = Field(default=10, ge=3, le=1000)
    # An agent that is dead for longer counts as absent, and what it ran as lost.
    lost_after_s: float = Field(default=30, ge=2, le=3600)
    # How long the agents that were connected have to come back after a time in which there was
    # no server for them; their own longest back-off is a minute. 0: no longer than others.
    return_grace_s: float = Field(default=75, ge=0)
    # How many agents a second come back at once after this server is gone: about half of what
    # one process greets.
    reconnects_per_s: float = Field(default=200, gt=0)
    # How often deadlines, absences and due retries are looked for; None is each second, and more
    # often where a short lost_after_s asks for it.
    sweep_s: float | None = Field(default=None, gt=0)
    # Ended runs are deleted when they are older, or when the task has more newer ones; 0 keeps
    # them for ever. A task's newest run always stays.
    retention_days: float = Field(default=90, ge=0)
    retention_runs_per_task: int = Field(default=100, ge=0)
    # Events are kept so long, also those of runs that are gone; 0 keeps them for ever.
    retention_events_days: float = Field(default=30, ge=0)
    retention_sweep_s: float = Field(default=3600, gt=0)
    # What callers may do; docs/security.md says what each is against. The counts by address,
    # token and party are off with `insecure`; 0 turns one off.
    max_message_bytes: int = Field(default=16 * 1024 * 1024, ge=1024 * 1024, le=256 * 1024 * 1024)
    max_metadata_bytes: int = Field(default=16 * 1024, ge=4 * 1024, le=1024 * 1024)
    max_streams_per_connection: int = Field(default=1000, ge=10)
    max_connections: int = Field(default=20_000, ge=10)
    handshake_timeout_s: float = Field(default=10, ge=0.1)
    # Of a connection without a call, after its handshake.
    connection_idle_s: float = Field(default=120, ge=0.1)
    # Of a call without its request.
    request_timeout_s: float = Field(default=30, ge=0.1)
    calls_per_token_per_s: float = Field(default=100, ge=0)
    calls_per_token_burst: int = Field(default=300, ge=1)
    calls_per_address_per_s: float = Field(default=500, ge=0)
    calls_per_address_burst: int = Field(default=2000, ge=1)
    calls_per_address_at_once: int = Field(default=2000, ge=0)
    connects_per_party_per_min: float = Field(default=60, ge=0)
    wrong_enrolments_per_address_per_min: float = Field(default=30, ge=0)
    # Watches of events that are open at once, at this replica.
    event_watches: int = Field(default=1000, ge=1)
    # How long a watcher may leave what it was sent unread.
    event_stall_s: float = Field(default=60, gt=0)
    event_watches_per_user: int = Field(default=20, ge=1)
    # Hosts, addresses and networks that webhooks may lead to although they are not public, and
    # by plain http too; a JSON list.
    webhook_allowed: tuple[str, ...] = ()
    webhook_timeout_s: float = Field(default=10, gt=0, le=30)
    http_connections: int = Field(default=200, ge=1)
    # An OpenID Connect provider whose tokens are accepted too, if they are for this audience.
    oidc_issuer: str = ""
    oidc_audience: str = ""
    # Which claim names the user, and which (a path with dots) says what it is there; `oidc_roles`
    # gives those values a role here. Without a role a user may do nothing.
    oidc_user_claim: str = Field(default="sub", min_length=1)
    oidc_role_claim: str = Field(default="roles", min_length=1)
    oidc_roles: dict[str, Role] = Field(default_factory=dict)
    # /metrics for Prometheus: on the HTTP port, at an address of its own (host:port), or nowhere.
    metrics: bool = True
    metrics_listen: str = Field(
        default="", pattern=r"^$|^(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}$"
    )
    # The base URL of an OpenTelemetry collector that speaks OTLP over HTTP; empty traces nothing.
    otlp_endpoint: str = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        pattern=r"^$|^https?://",
    )
    shutdown_grace_s: float = Field(default=2, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    @model_validator(mode="after")
    def _check_each_with_the_others(self) -> Self:
        _refuse(contradictions(self))
        return self

    @property
    def relay_listens_at(self) -> tuple[str, int]:
        """The relay's host and port; port 0 is any."""
        if self.relay_port is not None:
            port = self.relay_port
        else:
            port = DEFAULT_RELAY_PORT if self.port else 0
        return self.relay_host or self.host, port

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

    @property
    def sweeps_every_s(self) -> float:
        """How often deadlines, absences and due retries are looked for."""
        return self.sweep_s or min(1.0, self.lost_after_s / 10)

    # Agents that lost a connection come back within what is left of their leases, so that
    # whatever stands between them and their servers may die without anybody counting as absent.

    @property
    def longest_spread_s(self) -> float:
        """Over how long the agents of a server that is gone come back, however many they are."""
        return min(MOST_SPREAD_S, self.lease_s * 0.8)

    def reconnect_spread_s(self, agents: int) -> float:
        """Return over how long so many agents are to come back after this server is gone."""
        return min(self.longest_spread_s, agents / self.reconnects_per_s)

    @property
    def orphan_grace_s(self) -> float:
        """How long a party whose server vanished may come back to another, after its lease."""
        return self.longest_spread_s


def problems(error: ValidationError) -> list[str]:
    """Return one line per problem, each with the name of its option or variable."""
    return [
        f"{_name(item['loc'])}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]


# What only the environment can set.
_VARIABLES = frozenset(
    {
        "database_connections",
        "output_bytes_per_file",
        "output_bytes_per_party_run",
        "output_files_per_party_run",
        "return_grace_s",
        "reconnects_per_s",
        "sweep_s",
        "retention_sweep_s",
        "retention_events_days",
        "event_watches",
        "event_watches_per_user",
        "event_stall_s",
        "relay_idle_s",
        "relay_strangers",
        "relay_tunnels",
        "webhook_allowed",
        "webhook_timeout_s",
        "shutdown_grace_s",
    }
)


def _name(where: tuple[int | str, ...]) -> str:
    if where and where[0] in _VARIABLES:
        return f"FEDFLOW_SERVER_{str(where[0]).upper()}"
    return f"--{'-'.join(str(part) for part in where).replace('_', '-')}"


def _refuse(found: dict[str, str]) -> None:
    if found:
        raise ValidationError.from_exception_data(
            ServerSettings.__name__,
            [
                InitErrorDetails(
                    type=PydanticCustomError("contradiction", "{message}", {"message": message}),
                    loc=(field,),
                    input=None,
                )
                for field, message in found.items()
            ],
        )
