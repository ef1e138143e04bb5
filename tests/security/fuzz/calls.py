"""Every call of every service, over a real connection: request bytes in, an answer in time."""

import asyncio

import grpc
from google.protobuf.message_factory import GetMessageClass

from tests.security.fuzz.decoding import services
from tests.security.fuzz.findings import ANSWER_S
from tests.security.fuzz.inputs import Inputs
from tests.security.fuzz.place import SENDERS

AT_ONCE = 8
# By whom a defect shows itself; UNAVAILABLE would be a server that has gone.
BAD = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"}
# Which accepted calls change how many rows there are.
COUNTED = {
    ("templates", "TemplateService/Create"): 1,
    ("templates", "TemplateService/Delete"): -1,
    ("tasks", "TaskService/Create"): 1,
    ("tasks", "TaskService/Delete"): -1,
}
FURNISHED = {"templates": 1, "tasks": 2}


def methods():
    """Return (path, request's class, whether answers stream) of every call that isn't a stream."""
    return [
        (
            f"/{service.full_name}/{method.name}",
            GetMessageClass(method.input_type),
            method.server_streaming,
        )
        for service in services()
        for method in service.methods
        if not method.client_streaming
    ]


async def feed(findings, place, seed, count):
    """Call `count` times; return how many rows of each table the accepted calls should leave."""
    inputs = Inputs(seed, "calls", place.words)
    known, numbers = methods(), iter(range(count))
    rows = dict(FURNISHED)

    async def work():
        for number in numbers:
            random = inputs.random(number)
            path, kind, is_stream = random.choice(known)
            data = inputs.data(random, kind)
            code, answer = await _call(place, path, data, is_stream=is_stream)
            findings.ended("calls", code)
            name = path.removeprefix("/fedflow.v1.")
            if code in BAD or len(answer) > 10_000_000:
                findings.find("calls", number, f"{name} {code} {answer[:300]!r}", data)
            for (table, counted), change in COUNTED.items():
                if code == "OK" and counted == name:
                    rows[table] += change

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return rows


async def _call(place, path, data, *, is_stream):
    to_agents = "AgentService" in path
    channel = place.agents[SENDERS[0]] if to_agents else place.users
    metadata = () if to_agents else place.admin
    try:
        async with asyncio.timeout(ANSWER_S):
            if not is_stream:
                return "OK", await channel.unary_unary(path)(data, metadata=metadata)
            call = channel.unary_stream(path)(data, metadata=metadata)
            # The first answer is enough: a wait for a run that goes on has no end.
            first = await call.read()
            if first is grpc.aio.EOF:
                return (await call.code()).name, b""
            call.cancel()
            return "OK", first
    except grpc.aio.AioRpcError as error:
        return error.code().name, (error.details() or "").encode()
    except TimeoutError:
        return "DATA_LOSS", b"no answer in time"
