"""What of a template can be stored and run: each limit, and each error with its field."""

import json

from flow_contract import checks
from flow_contract.coordination import MAX_PORT, Ends, Framework, PortRange
from flow_contract.errors import InvalidArgument, Kind
from flow_contract.ids import is_party_id
from flow_contract.templates import Coordinator, Mount, Resources, TemplateSpec

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

RESERVED_ENV_PREFIX = "FEDFLOW_"

# What Fedflow or the engine itself mounts; the engine allows nothing below its own.
TAKEN_TARGETS = frozenset({"/", "/data", "/output", "/proc", "/sys", "/dev"})
TAKEN_ROOTS = ("/proc/", "/sys/", "/dev/")
MAX_MESH_RANGES = 64
MAX_COORDINATOR_PORTS = 64


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
    _check_env("env", spec.env)
    _check_resources("resources", spec.resources)
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
    checks.number("connect_timeout_s", spec.connect_timeout_s, least=1, most=MAX_DEADLINE_S)
    _check_mesh(spec.mesh)
    if spec.coordinator is not None:
        _check_coordinator(spec.coordinator)
    if spec.framework is Framework.IFLEARNER and spec.coordinator is None:
        raise InvalidArgument(
            "framework: iflearner's parties talk to an aggregation server; declare it as the "
            "template's coordinator",
            field="coordinator",
        )


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


def _check_env(place: str, env: dict[str, str]) -> None:
    for name, value in env.items():
        # Short, because the error about a value carries the name.
        checks.text(place, name, max_chars=MAX_ENV_NAME_LENGTH)
        checks.text(f"{place}[{name}]", value)
        if not name or "=" in name:
            raise InvalidArgument(
                f"{place}: {name!r} can't name an environment variable", field=place
            )
        if name.startswith(RESERVED_ENV_PREFIX):
            raise InvalidArgument(
                f"{place}: names that begin with {RESERVED_ENV_PREFIX} are set by Fedflow; "
                f"rename {name}",
                field=place,
            )
    size_bytes = len(json.dumps(env).encode())
    if size_bytes > MAX_ENV_BYTES:
        raise InvalidArgument(
            f"{place}: {size_bytes} bytes are more than {MAX_ENV_BYTES}", field=place
        )


def _check_resources(place: str, resources: Resources) -> None:
    checks.number(f"{place}.cpus", resources.cpus, least=0.01, most=4096)
    checks.number(
        f"{place}.memory_bytes", resources.memory_bytes, least=6 * 1024**2, most=MAX_INT64
    )
    checks.number(f"{place}.pids", resources.pids, least=1, most=MAX_INT64)
    checks.number(f"{place}.shm_bytes", resources.shm_bytes, least=1, most=MAX_INT64)
    gpus = resources.gpus
    if gpus is None:
        return
    checks.number(f"{place}.gpus.count", gpus.count, least=0, most=1024)
    checks.texts(f"{place}.gpus.device_ids", gpus.device_ids, max_bytes=4096)
    checks.texts(f"{place}.gpus.capabilities", gpus.capabilities, max_bytes=4096)
    if bool(gpus.count) == bool(gpus.device_ids):
        raise InvalidArgument(
            f"{place}.gpus: give either a count above 0 or device_ids",
            field=f"{place}.gpus",
            kind=Kind.TEMPLATE,
        )
    if len(set(gpus.device_ids)) != len(gpus.device_ids):
        raise InvalidArgument(
            f"{place}.gpus.device_ids: each id may be named once",
            field=f"{place}.gpus.device_ids",
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


def _check_mesh(mesh: tuple[PortRange, ...]) -> None:
    if len(mesh) > MAX_MESH_RANGES:
        raise InvalidArgument(
            f"mesh: {len(mesh)} ports and ranges are more than {MAX_MESH_RANGES}; join them",
            field="mesh",
        )
    for place, ports in enumerate(mesh):
        checks.number(f"mesh[{place}]", ports.first, least=1, most=MAX_PORT)
        checks.number(f"mesh[{place}]", ports.last, least=1, most=MAX_PORT)
        if ports.last < ports.first:
            raise InvalidArgument(
                f"mesh[{place}]: {ports.first}-{ports.last} holds no port; give the smaller first",
                field=f"mesh[{place}]",
            )


def _check_coordinator(coordinator: Coordinator) -> None:
    if coordinator.image_url:
        check_length("coordinator.image_url", coordinator.image_url, IMAGE_URL_LENGTH)
    checks.text("coordinator.image_url", coordinator.image_url)
    checks.text("coordinator.workdir", coordinator.workdir, max_chars=MAX_WORKDIR_LENGTH)
    checks.texts("coordinator.command", coordinator.command, max_bytes=MAX_COMMAND_BYTES)
    _check_env("coordinator.env", coordinator.env)
    _check_resources("coordinator.resources", coordinator.resources)
    if coordinator.party and not is_party_id(coordinator.party):
        raise InvalidArgument(
            f"coordinator.party: {coordinator.party!r} is no party id; name the party that is to "
            "run it, or leave it out for an agent that was started with --coordinator",
            field="coordinator.party",
        )
    if not 1 <= len(coordinator.ports) <= MAX_COORDINATOR_PORTS:
        raise InvalidArgument(
            f"coordinator.ports: name 1 to {MAX_COORDINATOR_PORTS} ports that the parties may "
            "reach",
            field="coordinator.ports",
        )
    for place, port in enumerate(coordinator.ports):
        checks.number(f"coordinator.ports[{place}]", port, least=1, most=MAX_PORT)
    if len(set(coordinator.ports)) != len(coordinator.ports):
        raise InvalidArgument(
            "coordinator.ports: each port may be named once", field="coordinator.ports"
        )
    if coordinator.decides and coordinator.ends is not Ends.BY_ITSELF:
        raise InvalidArgument(
            "coordinator.decides: one that is stopped after the parties can't say how the run "
            "went; set ends to by_itself, or leave decides out",
            field="coordinator.decides",
        )
