"""What an operator may set about an agent; checked whole, before anything starts.

Every problem is reported at once, each under the name of its option or variable; then, once
each is right by itself, all those that contradict one another.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flow_contract.ids import is_party_id
from party_agent.runtime.confinement import DEFAULT_MAX_PIDS, DEFAULT_TMP_BYTES, RootMode
from party_agent.runtime.neighbours.ways import DEFAULT_SIDECAR_IMAGE, Way

_TARGET = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_DATA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_USER = re.compile(r"(?P<uid>[0-9]{1,9}):(?P<gid>[0-9]{1,9})")
_MAX_PORT = 65_535

DEFAULT_KEEP_OUTPUTS_S = 30 * 24 * 3600
DEFAULT_KEEP_OUTPUTS_RUNS = 1_000
DEFAULT_KEEP_UNSENT_S = 30 * 24 * 3600


def check_target(value: str) -> str:
    """Return HOST:PORT as it is. Raises ValueError."""
    match = _TARGET.fullmatch(value)
    if match is None or not 0 < int(match["port"]) <= _MAX_PORT:
        raise ValueError(f"{value!r} is not HOST:PORT")
    return value


def _check_listen(value: str) -> str:
    match = _TARGET.fullmatch(value)
    if value and (match is None or int(match["port"]) > _MAX_PORT):
        raise ValueError(f"{value!r} is not HOST:PORT")
    return value


def _check_party(value: str) -> str:
    if not is_party_id(value):
        raise ValueError(
            f"{value!r} can't name a party: use 1 to 63 letters, digits, '_', '.' or '-'"
        )
    return value


def _check_data(value: dict[str, Path]) -> dict[str, Path]:
    roots = {}
    for name, path in value.items():
        if not _DATA_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} can't name data: use 1 to 63 letters, digits, '_', '.' or '-'"
            )
        if not path.exists():
            raise ValueError(f"{name}={path}: there is no such path")
        # Links are followed once, here: what lies behind them is what the site offers.
        roots[name] = path.resolve()
    return roots


def _check_gpus(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(value) or len(set(value)) != len(value):
        raise ValueError("each id must be named once, and none may be empty")
    return value


def _check_user(value: str) -> str:
    match = _USER.fullmatch(value)
    if value and (match is None or int(match["uid"]) == 0):
        raise ValueError(f"{value!r} is not UID:GID of a user that is not root")
    return value


class AgentSettings(BaseSettings):
    """One agent's settings. `state_dir` None keeps everything in memory, for simulations.

    `keep_images_s` 0 keeps images for ever. `workload_user` "" means nobody in particular for an
    agent that is root, and the agent's own user otherwise.
    """

    model_config = SettingsConfigDict(env_prefix="FEDFLOW_AGENT_", frozen=True, extra="forbid")

    # Where agents connect: the users' port too, where the server runs with --insecure.
    server: Annotated[str, AfterValidator(check_target)]
    # Plain text and no proof of who this is, to a server on this machine.
    insecure: bool = False
    party: Annotated[str, AfterValidator(_check_party)]
    name: Annotated[str, Field(max_length=100)] = ""
    runtime: Literal["auto", "docker", "process", "memory"] = "auto"
    data: Annotated[dict[str, Path], AfterValidator(_check_data)] = Field(default_factory=dict)
    gpus: Annotated[tuple[str, ...], AfterValidator(_check_gpus)] = ()
    state_dir: Path | None = None
    allow_network: bool = False
    # Whether coordinators run here that no template has a place for.
    coordinator: bool = False
    policy: Path | None = None
    workload_user: Annotated[str, AfterValidator(_check_user)] = ""
    workload_groups: tuple[Annotated[int, Field(ge=1, lt=2**31)], ...] = ()
    allow_root: bool = False
    read_only_root: RootMode = RootMode.AUTO
    tmp_bytes: Annotated[int, Field(ge=1024**2)] = DEFAULT_TMP_BYTES
    max_pids: Annotated[int, Field(ge=16)] = DEFAULT_MAX_PIDS
    warm_sandboxes: Annotated[int, Field(ge=0, le=256)] = 2
    # How the agent gets into the network of a workload that has neighbours.
    sockets: Way = Way.AUTO
    sidecar_image: Annotated[str, Field(min_length=1)] = DEFAULT_SIDECAR_IMAGE
    on_exit: Literal["keep", "stop"] = "keep"
    drain_on_exit: bool = False
    keep_outputs_s: Annotated[int, Field(ge=1)] = DEFAULT_KEEP_OUTPUTS_S
    keep_outputs_runs: Annotated[int, Field(ge=1)] = DEFAULT_KEEP_OUTPUTS_RUNS
    keep_images_s: Annotated[int, Field(ge=0)] = 0
    # Of one party run's log, and of all that are not yet with the server; more is dropped.
    log_bytes_per_run: Annotated[int, Field(ge=0)] = 256 * 1024**2
    log_bytes_of_site: Annotated[int, Field(ge=0)] = 4 * 1024**3
    # How long logs and metrics of ended runs wait for a server that never takes them.
    keep_unsent_s: Annotated[int, Field(ge=1)] = DEFAULT_KEEP_UNSENT_S
    # What may leave of one run's outputs, as often as it is sent, and how much of what workloads
    # send may wait here for the server.
    output_bytes_per_file: Annotated[int, Field(ge=0)] = 16 * 1024**3
    output_bytes_per_run: Annotated[int, Field(ge=0)] = 256 * 1024**3
    output_files_per_run: Annotated[int, Field(ge=0)] = 20_000
    output_bytes_of_site: Annotated[int, Field(ge=0)] = 256 * 1024**3
    # The most connections that one party run has to others at a time, and after how long a
    # connection over which nothing moves is broken.
    tunnel_connections: Annotated[int, Field(ge=1, le=65_536)] = 1024
    tunnel_idle_s: Annotated[float, Field(ge=1)] = 24 * 3600.0
    ready_file: Path | None = None
    # Where /metrics, /healthz and /readyz are; empty is nowhere, port 0 any.
    metrics_listen: Annotated[str, AfterValidator(_check_listen)] = ""
    # The base URL of an OpenTelemetry collector that speaks OTLP over HTTP; empty traces nothing.
    otlp_endpoint: Annotated[str, Field(pattern=r"^$|^https?://")] = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    )
    log_json: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # How long a start waits for a container engine that does not answer yet.
    runtime_wait_s: Annotated[float, Field(ge=0)] = 30.0
    # How long the connection may be silent before a ping, and how long that may go unanswered.
    keepalive_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    first_backoff_s: Annotated[float, Field(gt=0)] = 1.0
    max_backoff_s: Annotated[float, Field(gt=0)] = 60.0

    @model_validator(mode="after")
    def _check_each_with_the_others(self) -> Self:
        contradictions = {}
        if self.first_backoff_s > self.max_backoff_s:
            contradictions["first_backoff_s"] = (
                f"{self.first_backoff_s:g} is more than the longest delay, "
                f"max_backoff_s={self.max_backoff_s:g}; make it less, or the other more"
            )
        if self.insecure and not is_loopback(self.server):
            contradictions["insecure"] = (
                f"{self.server} is not this machine's loopback, and plain text goes no further; "
                "enrol ('fedflow agent enrol'), or dial 127.0.0.1"
            )
        _refuse(contradictions)
        return self


def _refuse(contradictions: dict[str, str]) -> None:
    if contradictions:
        raise ValidationError.from_exception_data(
            AgentSettings.__name__,
            [
                InitErrorDetails(
                    type=PydanticCustomError("contradiction", "{message}", {"message": message}),
                    loc=(field,),
                    input=None,
                )
                for field, message in contradictions.items()
            ],
        )


def is_loopback(target: str) -> bool:
    """Say whether only this machine reaches HOST:PORT, without asking any name server."""
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# Where an option is not called as its setting.
_OPTIONS = {"drain_on_exit": "drain"}
# What only the environment can set.
_VARIABLES = frozenset(
    {
        "keepalive_s",
        "first_backoff_s",
        "max_backoff_s",
        "runtime_wait_s",
        "sockets",
        "sidecar_image",
        "log_bytes_per_run",
        "log_bytes_of_site",
        "output_bytes_per_file",
        "output_bytes_per_run",
        "output_files_per_run",
        "output_bytes_of_site",
        "tunnel_connections",
        "tunnel_idle_s",
    }
)


def inherited_environment() -> Mapping[str, str]:
    """Return the agent's own environment; what of it a workload may see is not decided here."""
    return os.environ


def problems(error: ValidationError) -> list[str]:
    """Return one line per problem, each beginning with the option to change."""
    lines = []
    for each in error.errors():
        field = str(each["loc"][0]) if each["loc"] else "settings"
        message = each["msg"].removeprefix("Value error, ")
        if field in _VARIABLES:
            lines.append(f"FEDFLOW_AGENT_{field.upper()}: {message}")
        else:
            lines.append(f"--{_OPTIONS.get(field, field).replace('_', '-')}: {message}")
    return lines
