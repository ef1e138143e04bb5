"""The surface is the documented one: names, order, defaults; what is new is keyword-only."""

import inspect

import pytest

from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk
from flow_server_sdk.methods import Method
from flow_wire import (
    audit_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    outputs_pb2,
    parties_pb2,
    runs_pb2,
    tasks_pb2,
    templates_pb2,
    users_pb2,
    webhooks_pb2,
)
from tests.sdk.scripted_server import ALL_METHODS

NEEDED = inspect.Parameter.empty

DOCUMENTED = {
    "template.create": {
        "name": NEEDED,
        "image_url": NEEDED,
        "workdir": NEEDED,
        "command": NEEDED,
        "remark": None,
        "hyper_parameter": None,
    },
    "template.update": {
        "template_id": NEEDED,
        "name": NEEDED,
        "image_url": NEEDED,
        "workdir": NEEDED,
        "command": NEEDED,
        "remark": None,
        "hyper_parameter": None,
    },
    "template.get": {"template_id": NEEDED},
    "template.list": {"keyword": "", "page": 1, "limit": 10},
    "template.delete": {"template_id": NEEDED},
    "task.create": {
        "name": NEEDED,
        "template_id": NEEDED,
        "remark": NEEDED,
        "federate_data": NEEDED,
    },
    "task.update": {
        "task_id": NEEDED,
        "name": NEEDED,
        "template_id": NEEDED,
        "remark": NEEDED,
        "federate_data": NEEDED,
    },
    "task.get": {"task_id": NEEDED},
    "task.list": {"page": NEEDED, "limit": NEEDED},
    "task.delete": {"task_id": NEEDED},
    "task.start": {"task_id": NEEDED},
    "task.stop": {"task_id": NEEDED},
}


@pytest.fixture(params=[FlowServerSdk, AsyncFlowServerSdk])
def any_sdk(request):
    return request.param(host="127.0.0.1", port="1235")


def parameters(sdk, call: str) -> list[inspect.Parameter]:
    room, name = call.split(".")
    return list(inspect.signature(getattr(getattr(sdk, room), name)).parameters.values())


@pytest.mark.parametrize("call", DOCUMENTED)
def test_positional_parameters_have_the_documented_names_order_and_defaults(any_sdk, call):
    positional = [
        (parameter.name, parameter.default)
        for parameter in parameters(any_sdk, call)
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == list(DOCUMENTED[call].items())


@pytest.mark.parametrize("call", DOCUMENTED)
def test_what_goes_beyond_the_document_is_keyword_only_and_optional(any_sdk, call):
    beyond = [
        parameter
        for parameter in parameters(any_sdk, call)
        if parameter.name not in DOCUMENTED[call]
    ]
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in beyond)
    assert all(parameter.default is not NEEDED for parameter in beyond)


@pytest.mark.parametrize("method", ALL_METHODS, ids=lambda method: method.path)
def test_every_method_is_in_the_proto_with_this_reply(method: Method):
    _, service, name = method.path.split("/")
    described = next(
        found
        for file in (
            templates_pb2,
            tasks_pb2,
            runs_pb2,
            parties_pb2,
            users_pb2,
            audit_pb2,
            events_pb2,
            logs_pb2,
            metrics_pb2,
            webhooks_pb2,
            outputs_pb2,
        )
        for found in file.DESCRIPTOR.services_by_name.values()
        if found.full_name == service
    )
    assert described.methods_by_name[name].output_type is method.response.DESCRIPTOR
