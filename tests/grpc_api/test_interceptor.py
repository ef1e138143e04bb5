"""The interceptor, on handlers and contexts that need no connection."""

import grpc
import pytest
import structlog
from structlog.testing import capture_logs

from flow_server.grpc_api.interceptor import ErrorInterceptor
from flow_wire import tasks_pb2


class EndingCall:
    """A call's context whose peer can be asked for only while the call is there.

    grpc's own ends the whole process when asked later.
    """

    def __init__(self):
        self.is_there = True

    def peer(self):
        assert self.is_there
        return "ipv4:127.0.0.1:4711"


class Details:
    method = "/fedflow.v1.TaskService/Wait"


async def admit(_method, _context):
    pass


async def note(*_end):
    pass


async def wrapped(handle):
    async def continuation(_details):
        return grpc.unary_stream_rpc_method_handler(handle)

    interceptor = ErrorInterceptor(admit, note)
    return (await interceptor.intercept_service(continuation, Details)).unary_stream


@pytest.fixture
def plain_log():
    # A command that another test ran in this process may have set a level of its own.
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


async def test_an_answer_stream_that_is_closed_after_its_call_has_gone_asks_the_call_nothing(
    plain_log,
):
    async def answers(_request, _context):
        while True:
            yield tasks_pb2.WaitTaskResponse()

    context = EndingCall()
    stream = (await wrapped(answers))(tasks_pb2.WaitTaskRequest(task_id="t"), context)
    await anext(stream)
    context.is_there = False
    with capture_logs() as logged:
        await stream.aclose()
    assert [(line["code"], line["peer"]) for line in logged] == [
        ("CANCELLED", "ipv4:127.0.0.1:4711")
    ]
