"""Every call that the descriptors know, with a request that means something on a stage."""

import importlib
import pkgutil
from dataclasses import dataclass

import grpc

import flow_wire
from flow_server.grpc_api.server import _SERVICES

DENIED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
SERVED = {service.name for service in _SERVICES}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What there is to act on, all of it ana's; `spare_token_id` too."""

    template_id: str
    task_id: str
    run_id: str
    spare_token_id: str
    webhook_id: str


def _modules():
    for module in pkgutil.iter_modules(flow_wire.__path__):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(f"flow_wire.{module.name}")


METHODS = {
    f"{service.name}/{method.name}": (method, module)
    for module in _modules()
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def fields_of(method, stage):
    """Return what a sensible request of this method says."""
    template = {"name": "another", "image_url": "image:1", "command": ["run"]}
    task = {
        "name": "another task",
        "template_id": stage.template_id,
        "federate_data": [{"federated_id": "nobody-yet", "federated_data": ""}],
    }
    return {
        "TemplateService/Create": {"spec": template},
        "TemplateService/Update": {"template_id": stage.template_id, "spec": template},
        "TemplateService/Get": {"template_id": stage.template_id},
        "TemplateService/Delete": {"template_id": stage.template_id},
        "TaskService/Create": {"spec": task},
        "TaskService/Update": {"task_id": stage.task_id, "spec": task},
        "TaskService/Get": {"task_id": stage.task_id},
        "TaskService/Delete": {"task_id": stage.task_id},
        "TaskService/Start": {"task_id": stage.task_id},
        "TaskService/Stop": {"task_id": stage.task_id},
        "TaskService/Wait": {"task_id": stage.task_id},
        "LogService/Read": {"task_id": stage.task_id},
        "OutputService/List": {"task_id": stage.task_id},
        "OutputService/Download": {
            "task_id": stage.task_id,
            "federated_id": "nobody-yet",
            "name": "model.pt",
        },
        "TunnelService/Open": {"party_run_id": "1", "peer_party_run_id": "2", "port": 1},
        "RunService/Get": {"run_id": stage.run_id},
        "RunService/List": {"task_id": stage.task_id},
        "MetricService/List": {"task_id": stage.task_id},
        "EventService/Watch": {"task_ids": [stage.task_id]},
        "WebhookService/Create": {"url": "https://example.org/"},
        "WebhookService/Delete": {"webhook_id": stage.webhook_id},
        "WebhookService/ListDeliveries": {"webhook_id": stage.webhook_id},
        "PartyService/Get": {"federated_id": "nobody-yet"},
        "PartyService/Drain": {"federated_id": "nobody-yet"},
        "PartyService/Resume": {"federated_id": "nobody-yet"},
        "PartyService/Revoke": {"federated_id": "nobody-yet"},
        "PartyService/Add": {"federated_id": "nobody-yet"},
        "UserService/Add": {"name": "mallory", "role": "ROLE_ADMIN"},
        "UserService/SetRole": {"name": "anette", "role": "ROLE_ADMIN"},
        "UserService/Disable": {"name": "anette"},
        "UserService/Enable": {"name": "anette"},
        "UserService/RevokeToken": {"token_id": stage.spare_token_id},
    }.get(method, {})


async def call(channel, method, fields, bearer=None):
    """Make the call; return its status code and text."""
    described, module = METHODS[method]
    request = getattr(module, described.input_type.name)(**fields)
    shape = (
        "stream" if described.client_streaming else "unary",
        "stream" if described.server_streaming else "unary",
    )
    make = getattr(channel, "_".join(shape))(
        f"/{described.containing_service.full_name}/{described.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=getattr(module, described.output_type.name).FromString,
    )
    metadata = () if bearer is None else (("authorization", f"Bearer {bearer}"),)
    try:
        if described.client_streaming:
            stream = make(metadata=metadata, timeout=20)
            await stream.write(request)
            await stream.read()
        elif described.server_streaming:
            stream = make(request, metadata=metadata, timeout=20)
            await stream.read()
        else:
            await make(request, metadata=metadata, timeout=20)
            return grpc.StatusCode.OK, ""
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    # A stream that was refused says so only at its end.
    if (await stream.initial_metadata()) is not None and not stream.done():
        stream.cancel()
        return grpc.StatusCode.OK, ""
    return await stream.code(), await stream.details()
