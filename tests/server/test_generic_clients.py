"""Clients that know no proto: reflection, health, rich errors, unknown fields, HTTP."""

import asyncio
import urllib.request

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from flow_wire import templates_pb2

SERVICES = {"TemplateService", "TaskService", "RunService", "PartyService", "AgentService"}


class GenericClient:
    """Calls any method by its name, from what reflection says and nothing else."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def call(self, service, method, **fields):
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(descriptor.input_type)(**fields)
        response = message_factory.GetMessageClass(descriptor.output_type)
        return self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )(request, timeout=30)


@pytest.fixture
async def generic(server):
    client = GenericClient(server.grpc_address)
    yield client
    client.channel.close()


@pytest.fixture
def in_thread():
    return asyncio.to_thread


async def test_reflection_lists_every_service(generic, in_thread):
    names = await in_thread(generic.database.get_services)
    assert {f"fedflow.v1.{name}" for name in SERVICES} < set(names)
    assert "grpc.health.v1.Health" in names


async def test_a_client_by_reflection_alone_creates_a_template_and_starts_a_task(
    generic, connect, in_thread
):
    agent = await connect("hospital-a")
    template = await in_thread(
        generic.call,
        "fedflow.v1.TemplateService",
        "Create",
        spec={"name": "by reflection", "image_url": "image:1"},
    )
    task = await in_thread(
        generic.call,
        "fedflow.v1.TaskService",
        "Create",
        spec={
            "name": "by reflection",
            "template_id": template.template_id,
            "federate_data": [{"federated_id": "hospital-a"}],
        },
    )
    run = await in_thread(generic.call, "fedflow.v1.TaskService", "Start", task_id=task.task_id)
    assert (await agent.assigned()).spec.run_id == run.run_id


async def test_an_error_carries_its_code_subject_and_field(generic, in_thread):
    with pytest.raises(grpc.RpcError) as caught:
        await in_thread(generic.call, "fedflow.v1.TemplateService", "Get", template_id="nowhere")
    error = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("fedflow", "NOT_FOUND")
    assert dict(info.metadata) == {
        "kind": "template",
        "subject_id": "nowhere",
        "field": "template_id",
        "ret_code": "10200",
    }


async def test_a_field_that_the_server_does_not_know_is_refused_by_number(server):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        create = channel.unary_unary(
            "/fedflow.v1.TemplateService/Create",
            response_deserializer=templates_pb2.CreateTemplateResponse.FromString,
        )
        request = templates_pb2.CreateTemplateRequest(
            spec=templates_pb2.TemplateSpec(name="unknown field", image_url="image:1")
        )
        # Field 999 of the request, a varint.
        raw = request.SerializeToString() + bytes([0xB8, 0x3E, 0x01])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await create(raw)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "999" in caught.value.details()


async def test_health_says_serving_for_each_service(server):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ["", *(f"fedflow.v1.{name}" for name in SERVICES)]:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_http_says_alive_and_ready(server, in_thread):
    def get(path):
        with urllib.request.urlopen(f"http://{server.http_address}{path}") as answer:
            return answer.status

    assert await in_thread(get, "/healthz") == 200
    assert await in_thread(get, "/readyz") == 200


async def test_bytes_that_are_no_message_are_refused_and_hurt_nobody(server, sdk):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        create = channel.unary_unary("/fedflow.v1.TemplateService/Create")
        with pytest.raises(grpc.aio.AioRpcError):
            await create(b"\xff\xff\xff\xff")
    assert (await sdk.template.list())["ret_code"] == 0
