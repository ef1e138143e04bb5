"""What a container may have, and what its environment says, as contract types."""

from collections.abc import Mapping

from flow_contract.errors import InvalidArgument
from flow_contract.templates import GpuRequest, Resources
from flow_server_sdk.payloads import forms

_RESOURCES = ("cpus", "memory_bytes", "pids", "shm_bytes", "gpus")
_GPUS = ("count", "device_ids", "capabilities")


def resources(field: str, value: object) -> Resources:
    """Return limits.

    Raises:
        InvalidArgument: names what has the wrong form.
    """
    given = forms.record(field, value, _RESOURCES)
    cpus, gpus = given.get("cpus"), given.get("gpus")
    return Resources(
        cpus=None if cpus is None else forms.real(f"{field}.cpus", cpus),
        memory_bytes=_limit(field, given, "memory_bytes"),
        pids=_limit(field, given, "pids"),
        shm_bytes=_limit(field, given, "shm_bytes"),
        gpus=None if gpus is None else _gpus(f"{field}.gpus", gpus),
    )


def env(field: str, value: object) -> dict[str, str]:
    """Return environment variables.

    Raises:
        InvalidArgument: names what has the wrong form.
    """
    if not isinstance(value, Mapping):
        raise forms.refusal(field, value, "a dict of strings such as {'LR': '0.1'}")
    return {forms.text(field, key): forms.text(f"{field}[{key}]", value[key]) for key in value}


def _limit(field: str, given: Mapping[str, object], key: str) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    return forms.integer(f"{field}.{key}", value, most=forms.INT64_MAX)


def _gpus(field: str, value: object) -> GpuRequest:
    given = forms.record(field, value, _GPUS)
    count = forms.integer(f"{field}.count", given.get("count", 0))
    if count < 0:
        # The wire's count has no sign, so the server could not say this.
        raise InvalidArgument(f"{field}.count: give 1 or more", field=f"{field}.count")
    return GpuRequest(
        count=count,
        device_ids=forms.texts(f"{field}.device_ids", given.get("device_ids", ())),
        capabilities=forms.texts(
            f"{field}.capabilities", given.get("capabilities", GpuRequest().capabilities)
        ),
    )
