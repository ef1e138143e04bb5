"""A template as its dictionary: what the original has, then what was set beyond it."""

from dataclasses import asdict
from typing import Any

from flow_contract.coordination import Framework, PortRange
from flow_contract.templates import Coordinator, GpuRequest, Resources, TemplateSpec

_DEFAULTS = TemplateSpec(name="", image_url="")


def written(spec: TemplateSpec) -> dict[str, Any]:
    """Return what the original knows of a template, in its order."""
    return {
        "name": spec.name,
        "remark": spec.remark,
        "image_url": spec.image_url,
        "workdir": spec.workdir,
        "command": list(spec.command),
        "hyper_parameter": None if spec.hyper_parameter is None else list(spec.hyper_parameter),
    }


def extras(spec: TemplateSpec) -> dict[str, Any]:
    """Return what was set beyond the original, each as it can be given again."""
    extras: dict[str, Any] = {}
    if spec.resources != Resources():
        extras["resources"] = _resources(spec.resources)
    if spec.env:
        extras["env"] = dict(spec.env)
    if spec.mounts:
        extras["mounts"] = [
            {"data_name": mount.data_name, "target": mount.target} for mount in spec.mounts
        ]
    if spec.user:
        extras["user"] = spec.user
    if spec.network is not _DEFAULTS.network:
        extras["network"] = str(spec.network)
    for name in ("start_deadline_s", "prepare_deadline_s", "stop_grace_s", "run_timeout_s"):
        if getattr(spec, name) != getattr(_DEFAULTS, name):
            extras[name] = getattr(spec, name)
    if spec.on_disconnect != _DEFAULTS.on_disconnect:
        extras["on_disconnect"] = {"stop_after_s": spec.on_disconnect.stop_after_s}
    if spec.retry != _DEFAULTS.retry:
        extras["retry"] = asdict(spec.retry)
    return extras | _coordination(spec)


def _coordination(spec: TemplateSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if spec.coordinator is not None:
        found["coordinator"] = _coordinator(spec.coordinator)
    if spec.mesh:
        found["mesh"] = [_ports(ports) for ports in spec.mesh]
    if spec.connect_timeout_s != _DEFAULTS.connect_timeout_s:
        found["connect_timeout_s"] = spec.connect_timeout_s
    if spec.framework is not Framework.NONE:
        found["framework"] = str(spec.framework)
    return found


def _coordinator(coordinator: Coordinator) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: getattr(coordinator, name)
        for name in ("image_url", "workdir", "party")
        if getattr(coordinator, name)
    }
    shown |= {"command": list(coordinator.command), "ports": list(coordinator.ports)}
    if coordinator.env:
        shown["env"] = dict(coordinator.env)
    if coordinator.resources != Resources():
        shown["resources"] = _resources(coordinator.resources)
    return shown | {"ends": str(coordinator.ends), "decides": coordinator.decides}


def _ports(ports: PortRange) -> int | str:
    return ports.first if ports.first == ports.last else f"{ports.first}-{ports.last}"


def _resources(resources: Resources) -> dict[str, Any]:
    limits: dict[str, Any] = {
        name: getattr(resources, name)
        for name in ("cpus", "memory_bytes", "pids", "shm_bytes")
        if getattr(resources, name) is not None
    }
    if resources.gpus is not None:
        limits["gpus"] = _gpus(resources.gpus)
    return limits


def _gpus(gpus: GpuRequest) -> dict[str, Any]:
    asked: dict[str, Any] = (
        {"device_ids": list(gpus.device_ids)} if gpus.device_ids else {"count": gpus.count}
    )
    if gpus.capabilities != GpuRequest().capabilities:
        asked["capabilities"] = list(gpus.capabilities)
    return asked
