"""Templates: what to run, and the limits of what a user may write into one."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from flow_contract import checks
from flow_contract.errors import InvalidArgument, Kind

NAME_LENGTH = (3, 50)
IMAGE_URL_LENGTH = (1, 255)
MAX_WORKDIR_LENGTH = 255
MAX_COMMAND_BYTES = 65_536
MAX_REMARK_BYTES = 65_535
MAX_HYPER_PARAMETER_BYTES = 65_536
MAX_ENV_BYTES = 65_536
MAX_ENV_NAME_LENGTH = 255
MAX_INT64 = 2**63 - 1
MAX_DEADLINE_S = 7 * 24 * 3600
MAX_RUN_TIMEOUT_S = 365 * 24 * 3600
MAX_RETRIES = 100

DEFAULT_START_DEADLINE_S = 60
DEFAULT_PREPARE_DEADLINE_S = 3600
DEFAULT_STOP_GRACE_S = 10

RESERVED_ENV_PREFIX = "FEDFLOW_"

# What Fedflow or the engine itself mounts; the engine allows nothing below its own.
TAKEN_TARGETS = frozenset({"/", "/data", "/output", "/proc", "/sys", "/dev"})
TAKEN_ROOTS = ("/proc/", "/sys/", "/dev/")


class Network(StrEnum):
    """What a workload may reach: nothing, or the engine's bridge if the site allows it too."""

    NONE = "none"
    BRIDGE = "bridge"


@dataclass(frozen=True, kw_only=True)
class GpuRequest:
    """GPUs for one party run: any `count` of them, or exactly `device_ids`, never both.

    `capabilities` are the driver features that the engine is asked for.
    """

    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ("gpu",)

    @property
    def size(self) -> int:
        """How many GPUs this asks for."""
        return len(self.device_ids) or self.count


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Limits of one party run; None means no limit but the site's (for `pids` it has one)."""

    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    shm_bytes: int | None = None
    gpus: GpuRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Site data `data_name`, read-only at `target` (absolute path in the container)."""

    data_name: str
    target: str


@dataclass(frozen=True, kw_only=True)
class OnDisconnect:
    """What a site does with a running workload when it has lost the server.

    `stop_after_s` seconds without contact it stops it by itself; None keeps it running.
    """

    stop_after_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a failed run is started again, as a new run of the task.

    At most `max_retries` times, after `backoff_s` seconds, doubled with each further one. Only
    faults of the infrastructure count, unless `on_nonzero_exit`: then a workload's own failure
    does too.
    """

    max_retries: int = 0
    backoff_s: int = 10
    on_nonzero_exit: bool = False


@dataclass(frozen=True, kw_only=True)
class TemplateSpec:
    """All that a user writes into a template. `hyper_parameter` None means left out."""

    name: str
    image_url: str
    workdir: str = ""
    command: tuple[str, ...] = ()
    remark: str = ""
    hyper_parameter: tuple[str, ...] | None = None
    resources: Resources = Resources()
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    network: Network = Network.NONE
    start_deadline_s: int = DEFAULT_START_DEADLINE_S
    prepare_deadline_s: int = DEFAULT_PREPARE_DEADLINE_S
    stop_grace_s: int = DEFAULT_STOP_GRACE_S
    run_timeout_s: int | None = None
    on_disconnect: OnDisconnect = OnDisconnect()
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class Template:
    """A stored template. Times are aware UTC.

    `owner` is the user who made it, empty where users were not asked who they are.
    """

    template_id: str
    spec: TemplateSpec
    create_time: datetime
    modify_time: datetime
    owner: str = ""


def check_template(spec: TemplateSpec) -> None:
    """Accept what can be stored and run.

    Raises:
        InvalidArgument: names the first field that has to change.
    """
    check_length("name", spec.name, NAME_LENGTH)
    check_length("image_url", spec.image_url, IMAGE_URL_LENGTH)
    checks.text("name", spec.name)
    if not spec.name.strip():
        raise InvalidArgument("name: white space alone is no name", field="name")
    checks.text("image_url", spec.image_url)
    checks.text("workdir", spec.workdir, max_chars=MAX_WORKDIR_LENGTH)
    checks.texts("command", spec.command, max_bytes=MAX_COMMAND_BYTES)
    checks.text("remark", spec.remark, max_bytes=MAX_REMARK_BYTES)
    checks.texts("hyper_parameter", spec.hyper_parameter or (), max_bytes=MAX_HYPER_PARAMETER_BYTES)
    checks.text("user", spec.user, max_chars=64)
    _check_env(spec.env)
    _check_resources(spec.resources)
    _check_mounts(spec.mounts)
    checks.number("start_deadline_s", spec.start_deadline_s, least=0, most=MAX_DEADLINE_S)
    checks.number("prepare_deadline_s", spec.prepare_deadline_s, least=1, most=MAX_DEADLINE_S)
    checks.number("stop_grace_s", spec.stop_grace_s, least=0, most=3600)
    checks.number("run_timeout_s", spec.run_timeout_s, least=1, most=MAX_RUN_TIMEOUT_S)
    checks.number(
        "on_disconnect.stop_after_s",
        spec.on_disconnect.stop_after_s,
        least=1,
        most=MAX_DEADLINE_S,
    )
    checks.number("retry.max_retries", spec.retry.max_retries, least=0, most=MAX_RETRIES)
    checks.number("retry.backoff_s", spec.retry.backoff_s, least=0, most=MAX_DEADLINE_S)


def check_length(name: str, value: str, limits: tuple[int, int]) -> None:
    """Accept `value` of least to most characters, in the words that users of the original know.

    Raises:
        InvalidArgument: it is shorter or longer.
    """
    least, most = limits
    if not least <= len(value) <= most:
        raise InvalidArgument(
            f"Please set the {name} parameter length between {least} and {most}", field=name
        )


def _check_env(env: dict[str, str]) -> None:
    for name, value in env.items():
        # Short, because the error about a value carries the name.
        checks.text("env", name, max_chars=MAX_ENV_NAME_LENGTH)
        checks.text(f"env[{name}]", value)
        if not name or "=" in name:
            raise InvalidArgument(f"env: {name!r} can't name an environment variable", field="env")
        if name.startswith(RESERVED_ENV_PREFIX):
            raise InvalidArgument(
                f"env: names that begin with {RESERVED_ENV_PREFIX} are set by Fedflow; "
                f"rename {name}",
                field="env",
            )
    size_bytes = len(json.dumps(env).encode())
    if size_bytes > MAX_ENV_BYTES:
        raise InvalidArgument(f"env: {size_bytes} bytes are more than {MAX_ENV_BYTES}", field="env")


def _check_resources(resources: Resources) -> None:
    checks.number("resources.cpus", resources.cpus, least=0.01, most=4096)
    checks.number(
        "resources.memory_bytes", resources.memory_bytes, least=6 * 1024**2, most=MAX_INT64
    )
    checks.number("resources.pids", resources.pids, least=1, most=MAX_INT64)
    checks.number("resources.shm_bytes", resources.shm_bytes, least=1, most=MAX_INT64)
    gpus = resources.gpus
    if gpus is None:
        return
    checks.number("resources.gpus.count", gpus.count, least=0, most=1024)
    checks.texts("resources.gpus.device_ids", gpus.device_ids, max_bytes=4096)
    checks.texts("resources.gpus.capabilities", gpus.capabilities, max_bytes=4096)
    if bool(gpus.count) == bool(gpus.device_ids):
        raise InvalidArgument(
            "resources.gpus: give either a count above 0 or device_ids",
            field="resources.gpus",
            kind=Kind.TEMPLATE,
        )
    if len(set(gpus.device_ids)) != len(gpus.device_ids):
        raise InvalidArgument(
            "resources.gpus.device_ids: each id may be named once",
            field="resources.gpus.device_ids",
        )


def _plain_path(path: str) -> str:
    """Return the path as an engine reads it: no empty part, no `.`, no slash at the end."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def _check_mounts(mounts: tuple[Mount, ...]) -> None:
    targets = [_plain_path(mount.target) for mount in mounts]
    for mount in mounts:
        checks.text("mounts.data_name", mount.data_name, max_chars=255)
        checks.text("mounts.target", mount.target, max_chars=255)
        if not mount.data_name:
            raise InvalidArgument("mounts.data_name: name the site's data", field="mounts")
        if not mount.target.startswith("/") or ".." in mount.target.split("/"):
            raise InvalidArgument(
                f"mounts.target: {mount.target!r} must be an absolute path without '..'",
                field="mounts",
            )
        plain = _plain_path(mount.target)
        if plain in TAKEN_TARGETS or plain.startswith(TAKEN_ROOTS):
            raise InvalidArgument(
                f"mounts.target: {mount.target!r} is taken; choose another path", field="mounts"
            )
    if len(set(targets)) != len(targets):
        raise InvalidArgument("mounts.target: each path may be used once", field="mounts")
