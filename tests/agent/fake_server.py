"""A small flow server that speaks the agents' protocol over a real connection."""

import asyncio
import contextlib

import grpc

from flow_wire import agents_pb2 as pb
from flow_wire import agents_pb2_grpc, metrics_pb2_grpc
from flow_wire.codec.assignments import decode_report, encode_assignment
from tests.agent.fake_metrics import FakeMetrics
from tests.agent.fakes import DEADLINE_S


class FakeServer(agents_pb2_grpc.AgentServiceServicer):
    """Keeps assignments and reports; acknowledges unless told not to.

    Every connection gets all that is assigned; `say` sends to those that are open.
    """

    def __init__(self):
        self.assigned = {}
        self.hellos = []
        self.reports = []
        self.peers = []
        self.heartbeats = 0
        self.drains = 0
        self.heartbeat_s = 60
        self.acknowledging = True
        self.refusal = None
        self.first = None
        self.parts_before = []
        self.address = ""
        self.metrics = FakeMetrics(self._note)
        self._connections = set()
        self._news = asyncio.Condition()
        self._server = None

    async def start(self, address="127.0.0.1:0", *, credentials=None):
        self._server = grpc.aio.server(
            # As the real one: an agent may ping as often as it likes.
            options=[("grpc.http2.max_ping_strikes", 0)]
        )
        agents_pb2_grpc.add_AgentServiceServicer_to_server(self, self._server)
        metrics_pb2_grpc.add_MetricServiceServicer_to_server(self.metrics, self._server)
        self.serve_also(self._server)
        port = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        await self._server.start()
        self.address = f"127.0.0.1:{port}"
        return self

    def serve_also(self, server):
        """For who speaks more of the agents' protocol."""

    async def stop(self):
        if self._server is not None:
            self.cut()
            await self._server.stop(0)
            self._server = None

    async def Connect(self, requests, context):  # noqa: N802  gRPC's name
        hello = (await anext(requests)).hello
        await self._note(lambda: (self.hellos.append(hello), self.peers.append(context.peer())))
        if self.refusal is not None:
            await context.abort(self.refusal, "refused by the test")
        connection = asyncio.Queue()
        first = self.first or pb.ServerMessage(
            welcome=pb.Welcome(epoch=len(self.hellos), heartbeat_s=self.heartbeat_s)
        )
        await context.write(first)
        for part in self.parts_before:
            await context.write(part)
        complete = self._message(self.assigned.values(), complete=True)
        # From now on nothing that is assigned passes this connection by.
        self._connections.add(connection)
        await context.write(complete)
        reading = asyncio.create_task(self._read(requests, connection))
        try:
            while (message := await connection.get()) is not None:
                await context.write(message)
        finally:
            self._connections.discard(connection)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, requests, connection):
        async for message in requests:
            if message.WhichOneof("body") == "heartbeat":
                self.heartbeats += 1
            if message.WhichOneof("body") == "draining":
                self.drains += 1
            reports = [decode_report(report) for report in message.reports.reports]
            await self._note(lambda reports=reports: self.reports.extend(reports))
            if self.acknowledging and reports:
                keys = [
                    pb.ReportKey(party_run_id=one.party_run_id, sequence=one.sequence)
                    for one in reports
                ]
                acknowledgement = pb.Acknowledgement(reports=keys)
                connection.put_nowait(pb.ServerMessage(acknowledgement=acknowledgement))
        connection.put_nowait(None)

    async def _note(self, change):
        async with self._news:
            change()
            self._news.notify_all()

    def assign(self, *assignments):
        for assignment in assignments:
            self.assigned[assignment.spec.party_run_id] = assignment
        self.say(self._message(assignments, complete=False))

    def say(self, message):
        for connection in self._connections:
            connection.put_nowait(message)

    def cut(self):
        """End every open stream."""
        for connection in self._connections:
            connection.put_nowait(None)

    def _message(self, assignments, *, complete):
        wire = [
            one if isinstance(one, pb.Assignment) else encode_assignment(one) for one in assignments
        ]
        return pb.ServerMessage(assignments=pb.Assignments(assignments=wire, complete=complete))

    def latest(self, party_run_id="run1"):
        known = [one for one in self.reports if one.party_run_id == party_run_id]
        return max(known, key=lambda one: one.sequence, default=None)

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(condition)

    async def until_metrics(self, party_run_id, count):
        """Wait until there are so many points of the party run; return their values."""
        await self.until(lambda: len(self.metrics.values.get(party_run_id, ())) >= count)
        return self.metrics.values[party_run_id]

    async def until_state(self, state, party_run_id="run1"):
        def reached():
            latest = self.latest(party_run_id)
            return latest is not None and latest.state is state

        try:
            await self.until(reached)
        except TimeoutError:
            with contextlib.suppress(AttributeError):
                raise AssertionError(f"at {self.latest(party_run_id)}") from None
        return self.latest(party_run_id)
