"""Templates and resources on the wire."""

from flow_contract.coordination import Framework
from flow_contract.templates import (
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_PREPARE_DEADLINE_S,
    DEFAULT_START_DEADLINE_S,
    DEFAULT_STOP_GRACE_S,
    Mount,
    Network,
    OnDisconnect,
    RetryPolicy,
    Template,
    TemplateSpec,
)
from flow_wire import agents_pb2, common_pb2, templates_pb2
from flow_wire.codec.coordination import (
    decode_coordinator,
    decode_framework,
    decode_mesh,
    encode_coordinator,
    encode_framework,
    encode_mesh,
)
from flow_wire.codec.enums import NETWORK
from flow_wire.codec.resources import decode_resources, encode_resources
from flow_wire.codec.times import decode_required_time, encode_time


def encode_string_list(values: tuple[str, ...] | None) -> common_pb2.StringList | None:
    """Return a wire list, None for None."""
    return None if values is None else common_pb2.StringList(values=values)


def encode_mounts(mounts: tuple[Mount, ...]) -> list[templates_pb2.Mount]:
    """Contract to wire."""
    return [templates_pb2.Mount(data_name=m.data_name, target=m.target) for m in mounts]


def decode_mounts(wire: templates_pb2.TemplateSpec | agents_pb2.WorkloadSpec) -> tuple[Mount, ...]:
    """Wire to contract, for any message with a `mounts` field."""
    return tuple(Mount(data_name=m.data_name, target=m.target) for m in wire.mounts)


def encode_on_disconnect(policy: OnDisconnect) -> templates_pb2.OnDisconnect:
    """Contract to wire."""
    return templates_pb2.OnDisconnect(stop_after_s=policy.stop_after_s)


def decode_on_disconnect(wire: templates_pb2.OnDisconnect) -> OnDisconnect:
    """Wire to contract."""
    return OnDisconnect(stop_after_s=wire.stop_after_s if wire.HasField("stop_after_s") else None)


def _encode_retry(policy: RetryPolicy) -> templates_pb2.RetryPolicy:
    return templates_pb2.RetryPolicy(
        max_retries=policy.max_retries,
        backoff_s=policy.backoff_s,
        on_nonzero_exit=policy.on_nonzero_exit,
    )


def _decode_retry(wire: templates_pb2.RetryPolicy) -> RetryPolicy:
    return RetryPolicy(
        max_retries=wire.max_retries,
        backoff_s=wire.backoff_s if wire.HasField("backoff_s") else RetryPolicy.backoff_s,
        on_nonzero_exit=wire.on_nonzero_exit,
    )


def encode_template_spec(spec: TemplateSpec) -> templates_pb2.TemplateSpec:
    """Contract to wire.

    A server refuses what it doesn't know, so what came after the first release is sent only
    where it says something: an ordinary template can be stored on any server.
    """
    return templates_pb2.TemplateSpec(
        name=spec.name,
        image_url=spec.image_url,
        workdir=spec.workdir,
        command=spec.command,
        remark=spec.remark,
        hyper_parameter=encode_string_list(spec.hyper_parameter),
        resources=encode_resources(spec.resources),
        env=spec.env,
        mounts=encode_mounts(spec.mounts),
        user=spec.user,
        network=NETWORK.encode(spec.network),
        start_deadline_s=spec.start_deadline_s,
        prepare_deadline_s=spec.prepare_deadline_s,
        stop_grace_s=spec.stop_grace_s,
        run_timeout_s=spec.run_timeout_s,
        on_disconnect=None
        if spec.on_disconnect == OnDisconnect()
        else encode_on_disconnect(spec.on_disconnect),
        retry=None if spec.retry == RetryPolicy() else _encode_retry(spec.retry),
        coordinator=None if spec.coordinator is None else encode_coordinator(spec.coordinator),
        mesh=encode_mesh(spec.mesh),
        connect_timeout_s=None
        if spec.connect_timeout_s == DEFAULT_CONNECT_TIMEOUT_S
        else spec.connect_timeout_s,
        framework=None if spec.framework is Framework.NONE else encode_framework(spec.framework),
    )


def decode_template_spec(wire: templates_pb2.TemplateSpec) -> TemplateSpec:
    """Wire to contract, with the defaults of what is absent.

    Raises:
        InvalidArgument: an enum value is not known.
    """
    return TemplateSpec(
        name=wire.name,
        image_url=wire.image_url,
        workdir=wire.workdir,
        command=tuple(wire.command),
        remark=wire.remark,
        hyper_parameter=tuple(wire.hyper_parameter.values)
        if wire.HasField("hyper_parameter")
        else None,
        resources=decode_resources(wire.resources),
        env=dict(wire.env),
        mounts=decode_mounts(wire),
        user=wire.user,
        network=NETWORK.decode(wire.network, "network")
        if wire.HasField("network")
        else Network.NONE,
        start_deadline_s=wire.start_deadline_s
        if wire.HasField("start_deadline_s")
        else DEFAULT_START_DEADLINE_S,
        prepare_deadline_s=wire.prepare_deadline_s
        if wire.HasField("prepare_deadline_s")
        else DEFAULT_PREPARE_DEADLINE_S,
        stop_grace_s=wire.stop_grace_s if wire.HasField("stop_grace_s") else DEFAULT_STOP_GRACE_S,
        run_timeout_s=wire.run_timeout_s if wire.HasField("run_timeout_s") else None,
        on_disconnect=decode_on_disconnect(wire.on_disconnect),
        retry=_decode_retry(wire.retry),
        coordinator=decode_coordinator(wire.coordinator) if wire.HasField("coordinator") else None,
        mesh=decode_mesh(wire.mesh),
        connect_timeout_s=wire.connect_timeout_s
        if wire.HasField("connect_timeout_s")
        else DEFAULT_CONNECT_TIMEOUT_S,
        framework=decode_framework(wire.framework),
    )


def encode_template(template: Template) -> templates_pb2.Template:
    """Contract to wire."""
    wire = templates_pb2.Template(
        template_id=template.template_id,
        spec=encode_template_spec(template.spec),
        owner=template.owner,
    )
    encode_time(wire.create_time, template.create_time)
    encode_time(wire.modify_time, template.modify_time)
    return wire


def decode_template(wire: templates_pb2.Template) -> Template:
    """Wire to contract."""
    return Template(
        template_id=wire.template_id,
        spec=decode_template_spec(wire.spec),
        create_time=decode_required_time(wire, "create_time"),
        modify_time=decode_required_time(wire, "modify_time"),
        owner=wire.owner,
    )
