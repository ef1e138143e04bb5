"""What an agent makes of a server's bytes: over real connections, and straight into its link."""

import asyncio
import inspect
import sys

import grpc
import structlog
from google.protobuf.message import DecodeError

from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import encode_assignment
from party_agent.backoff import Backoff
from party_agent.link import Link
from tests.agent.fakes import make_assignment
from tests.agent.party import Site
from tests.security.fuzz.findings import ANSWER_S
from tests.security.fuzz.inputs import Inputs

WORDS = ("run1", "run2", "hospital-a", "trainer:1", "../../etc")
MESSAGES_PER_CONNECTION = 10


class _Units:
    """Takes what the link has understood."""

    party_run_ids = ()

    def assign(self, readable, *, unreadable, complete):
        self.assigned = (tuple(readable), tuple(unreadable), complete)

    def acknowledge(self, party_run_id, sequence):
        self.acknowledged = (party_run_id, sequence)


def feed_decoding(findings, seed, count):
    """Have a link take `count` messages; anything but taking or ignoring is a finding."""
    inputs = Inputs(seed, "links", WORDS)
    for number in range(count):
        if number % 100 == 0:
            link = new_link()
        take(findings, link, number, inputs.data(inputs.random(number), pb.ServerMessage))


def new_link():
    """Return a link as at the beginning of a session, without anything around it."""
    parts = dict.fromkeys(inspect.signature(Link.__init__).parameters)
    del parts["self"]
    backoff = Backoff(first_s=1, max_s=60, random=lambda: 0.5)
    whole = {"federated_id": "hospital-a", "units": _Units(), "backoff": backoff}
    return Link(**{**parts, **whole, "offered": [].append})


def take(findings, link, number, data):
    """Give the link one message."""
    try:
        outcome = "taken"
        link._handle(pb.ServerMessage.FromString(data))
    except DecodeError:
        outcome = "no message"
    except Exception as error:  # noqa: BLE001  what it is for
        outcome = "finding"
        findings.find("links", number, repr(error), data)
    findings.ended("links", outcome)


class _HostileServer:
    """Answers each hello with messages of its own; the last connection is an honest one."""

    def __init__(self, inputs, count):
        self._inputs = inputs
        self._numbers = iter(range(count))
        self.connections = 0
        self.honest = asyncio.Event()
        self.running = asyncio.Event()

    async def start(self):
        self._server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(self._connect)
        handlers = grpc.method_handlers_generic_handler(
            "fedflow.v1.AgentService", {"Connect": handler}
        )
        self._server.add_generic_rpc_handlers((handlers,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def aclose(self):
        await self._server.stop(0)

    async def _connect(self, requests, context):
        await anext(requests)
        self.connections += 1
        messages = self._next_messages()
        good = pb.ServerMessage(welcome=pb.Welcome(epoch=self.connections, heartbeat_s=60))
        await context.write(good.SerializeToString())
        if messages:
            # Without this most of what follows would be read as the greeting only.
            await context.write(_assigned().SerializeToString())
            for message in messages:
                await context.write(message)
            return
        await context.write(_assigned(make_assignment("honest")).SerializeToString())
        self.honest.set()
        async for data in requests:
            for report in pb.AgentMessage.FromString(data).reports.reports:
                if report.party_run_id == "honest":
                    self.running.set()

    def _next_messages(self):
        made = []
        for number in self._numbers:
            made.append(self._inputs.data(self._inputs.random(number), pb.ServerMessage))
            if len(made) == MESSAGES_PER_CONNECTION:
                break
        return made


def _assigned(*assignments):
    wire = [encode_assignment(each) for each in assignments]
    return pb.ServerMessage(assignments=pb.Assignments(assignments=wire, complete=True))


async def feed(findings, folder, seed, count):
    """Let a hostile server send `count` messages to an agent, and then an honest assignment."""
    server = _HostileServer(Inputs(seed, "links over wire", WORDS), count)
    before = structlog.get_config()

    def keep_failures(_logger, method, event):
        if method == "exception" or event.get("exc_info"):
            findings.find("agent", 0, f"{event['event']}: {sys.exc_info()[1]!r}")
        raise structlog.DropEvent

    structlog.configure(processors=[keep_failures], cache_logger_on_first_use=False)
    await server.start()
    site = Site(folder, server)
    try:
        await site.start()
        async with asyncio.timeout(ANSWER_S + count / 20):
            await server.running.wait()
        findings.ended("links over wire", "served after it", count)
    except TimeoutError:
        findings.find("links over wire", 0, f"no honest run after {server.connections} connections")
    finally:
        await site.kill()
        await server.aclose()
        structlog.configure(**before)
