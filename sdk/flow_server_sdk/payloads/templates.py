"""Arguments of template calls as a TemplateSpec."""

from flow_contract.coordination import Framework
from flow_contract.errors import InvalidArgument
from flow_contract.templates import (
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_PREPARE_DEADLINE_S,
    DEFAULT_START_DEADLINE_S,
    DEFAULT_STOP_GRACE_S,
    Mount,
    Network,
    OnDisconnect,
    Resources,
    RetryPolicy,
    TemplateSpec,
)
from flow_server_sdk.payloads import coordination, forms, limits

_MOUNT = ("data_name", "target")
_KEEP = "keep"
_ON_DISCONNECT = ("stop_after_s",)
_RETRY = ("max_retries", "backoff_s", "on_nonzero_exit")


def template_spec(
    *,
    name: object,
    image_url: object,
    workdir: object,
    command: object,
    remark: object,
    hyper_parameter: object,
    resources: object,
    env: object,
    mounts: object,
    user: object,
    network: object,
    start_deadline_s: object,
    prepare_deadline_s: object,
    stop_grace_s: object,
    run_timeout_s: object,
    on_disconnect: object,
    retry: object,
    coordinator: object,
    mesh: object,
    connect_timeout_s: object,
    framework: object,
) -> TemplateSpec:
    """Return what the arguments say; None where an argument is optional means its default.

    Raises:
        InvalidArgument: names the first argument of the wrong form.
    """
    return TemplateSpec(
        name=forms.text("name", name),
        image_url=forms.text("image_url", image_url),
        workdir=forms.text("workdir", workdir),
        command=forms.texts("command", command),
        remark="" if remark is None else forms.text("remark", remark),
        hyper_parameter=forms.texts_or_none("hyper_parameter", hyper_parameter),
        resources=Resources() if resources is None else limits.resources("resources", resources),
        env={} if env is None else limits.env("env", env),
        mounts=() if mounts is None else _mounts(mounts),
        user="" if user is None else forms.text("user", user),
        network=Network.NONE if network is None else _network(network),
        start_deadline_s=_seconds("start_deadline_s", start_deadline_s, DEFAULT_START_DEADLINE_S),
        prepare_deadline_s=_seconds(
            "prepare_deadline_s", prepare_deadline_s, DEFAULT_PREPARE_DEADLINE_S
        ),
        stop_grace_s=_seconds("stop_grace_s", stop_grace_s, DEFAULT_STOP_GRACE_S),
        run_timeout_s=None
        if run_timeout_s is None
        else forms.integer("run_timeout_s", run_timeout_s),
        on_disconnect=OnDisconnect() if on_disconnect is None else _on_disconnect(on_disconnect),
        retry=RetryPolicy() if retry is None else _retry(retry),
        coordinator=None if coordinator is None else coordination.coordinator(coordinator),
        mesh=() if mesh is None else coordination.mesh(mesh),
        connect_timeout_s=_seconds(
            "connect_timeout_s", connect_timeout_s, DEFAULT_CONNECT_TIMEOUT_S
        ),
        framework=Framework.NONE if framework is None else coordination.framework(framework),
    )


def _mounts(value: object) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            data_name=forms.needed(place, mount, "data_name"),
            target=forms.needed(place, mount, "target"),
        )
        for place, mount in forms.records("mounts", value, _MOUNT)
    )


def _network(value: object) -> Network:
    names = ", ".join(repr(str(network)) for network in Network)
    try:
        return Network(forms.text("network", value))
    except ValueError:
        raise InvalidArgument(f"network: give one of {names}", field="network") from None


def _on_disconnect(value: object) -> OnDisconnect:
    if value == _KEEP:
        return OnDisconnect()
    if isinstance(value, str):
        raise InvalidArgument(
            f"on_disconnect: give {_KEEP!r} or {{'stop_after_s': seconds}}", field="on_disconnect"
        )
    given = forms.record("on_disconnect", value, _ON_DISCONNECT)
    if "stop_after_s" not in given:
        field = "on_disconnect.stop_after_s"
        raise InvalidArgument(f"{field}: is missing; add it", field=field)
    return OnDisconnect(
        stop_after_s=forms.integer("on_disconnect.stop_after_s", given["stop_after_s"])
    )


def _retry(value: object) -> RetryPolicy:
    given = forms.record("retry", value, _RETRY)
    return RetryPolicy(
        max_retries=forms.integer(
            "retry.max_retries", given.get("max_retries", RetryPolicy.max_retries)
        ),
        backoff_s=forms.integer("retry.backoff_s", given.get("backoff_s", RetryPolicy.backoff_s)),
        on_nonzero_exit=forms.boolean(
            "retry.on_nonzero_exit", given.get("on_nonzero_exit", RetryPolicy.on_nonzero_exit)
        ),
    )


def _seconds(field: str, value: object, default: int) -> int:
    return default if value is None else forms.integer(field, value)
