"""The agent's side of the wire, driven by a test step by step over a real connection."""

import asyncio
from datetime import UTC, datetime

import grpc

from flow_contract.assignments import Assignment, Report
from flow_contract.coordination import RunRole
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.parties import Inventory
from flow_contract.reasons import Reason
from flow_contract.tunnels import Offer, Ticket
from flow_wire import agents_pb2 as pb
from flow_wire import agents_pb2_grpc, tunnels_pb2, tunnels_pb2_grpc
from flow_wire.codec.assignments import decode_assignment, encode_report
from flow_wire.codec.parties import encode_inventory
from flow_wire.codec.tunnels import decode_offer, decode_ticket

S = PartyRunState


class ScriptedAgent:
    def __init__(self, address, federated_id, *, instance_id=None, credentials=None, **inventory):
        # Of grpc; None dials in plain text.
        self._credentials = credentials
        self.federated_id = federated_id
        self.instance_id = instance_id or f"instance-of-{federated_id}"
        self._address = address
        self._inventory = Inventory(runtime="test", agent_version="0", **inventory)
        self._sequences: dict[str, int] = {}
        self.assignments: dict[str, Assignment] = {}
        self.complete_sets = 0
        self._parts: list[Assignment] = []
        self.paces: list[int] = []
        # Of tunnels.
        self.offers: list[Offer] = []
        self.acknowledged: set[tuple[str, int]] = set()
        self._news = asyncio.Condition()
        self._reader = None

    async def connect(self):
        self._channel = (
            grpc.aio.insecure_channel(self._address)
            if self._credentials is None
            else grpc.aio.secure_channel(self._address, self._credentials)
        )
        self._call = agents_pb2_grpc.AgentServiceStub(self._channel).Connect()
        await self._call.write(
            pb.AgentMessage(
                hello=pb.Hello(
                    federated_id=self.federated_id,
                    instance_id=self.instance_id,
                    inventory=encode_inventory(self._inventory),
                )
            )
        )
        welcome = await self._call.read()
        if welcome is grpc.aio.EOF:
            raise AssertionError(await self._call.details())
        self.welcome = welcome.welcome
        self.epoch = welcome.welcome.epoch
        complete_sets = self.complete_sets
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: self.complete_sets > complete_sets)

    async def cut(self):
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._call.cancel()
            await self._channel.close()
            self._reader = None

    async def ended(self):
        """Wait for the server to end the connection; return the status."""
        await asyncio.gather(self._reader, return_exceptions=True)
        return await self._call.code()

    async def _read(self):
        while (message := await self._call.read()) is not grpc.aio.EOF:
            async with self._news:
                if message.HasField("assignments"):
                    self._take(message.assignments)
                if message.HasField("tunnel_offer"):
                    self.offers.append(decode_offer(message.tunnel_offer))
                if message.HasField("pace"):
                    self.paces.append(message.pace.reconnect_spread_ms)
                for key in message.acknowledgement.reports:
                    self.acknowledged.add((key.party_run_id, key.sequence))
                self._news.notify_all()

    def _take(self, wire):
        self._parts.extend(decode_assignment(item) for item in wire.assignments)
        if wire.more_follow:
            return
        if wire.complete:
            self.assignments.clear()
            self.complete_sets += 1
        self.assignments.update({item.spec.party_run_id: item for item in self._parts})
        self._parts.clear()

    async def until(self, condition, timeout_s=30):
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(condition)

    async def assigned(self, desired=Desired.PREPARED, role=RunRole.PARTY):
        """Wait for one assignment of this role that wants `desired`; return it."""

        def found():
            return [
                item
                for item in self.assignments.values()
                if item.desired is desired and item.spec.role is role
            ]

        await self.until(found)
        return found()[0]

    async def report(self, party_run_id, state, *, sequence=None, wait=True, **fields):
        number = sequence or self._sequences.get(party_run_id, 0) + 1
        self._sequences[party_run_id] = max(number, self._sequences.get(party_run_id, 0))
        report = Report(
            party_run_id=party_run_id,
            sequence=number,
            state=state,
            observed_at=datetime.now(UTC),
            **fields,
        )
        await self._call.write(pb.AgentMessage(reports=pb.Reports(reports=[encode_report(report)])))
        if wait:
            await self.until(lambda: (party_run_id, number) in self.acknowledged)
        return number

    async def prepare(self, role=RunRole.PARTY):
        """Go to prepared; return the assignment."""
        item = await self.assigned(role=role)
        await self.report(item.spec.party_run_id, S.PREPARING)
        await self.report(item.spec.party_run_id, S.PREPARED)
        return item

    async def launch(self, role=RunRole.PARTY):
        """Go to running once told; return the assignment."""
        item = await self.assigned(Desired.RUNNING, role)
        await self.report(item.spec.party_run_id, S.RUNNING, started_at=datetime.now(UTC))
        return item

    async def stop(self, cause, role=RunRole.PARTY):
        """End as stopped once that is wanted because of `cause`."""
        item = await self.assigned(Desired.STOPPED, role)
        assert item.cause is cause
        await self.report(
            item.spec.party_run_id,
            S.STOPPED,
            reason=cause,
            exit_code=143,
            finished_at=datetime.now(UTC),
        )

    async def open_tunnel(self, party_run_id, peer_party_run_id, port) -> Ticket:
        stub = tunnels_pb2_grpc.TunnelServiceStub(self._channel)
        request = tunnels_pb2.OpenTunnelRequest(
            party_run_id=party_run_id, peer_party_run_id=peer_party_run_id, port=port
        )
        return decode_ticket((await stub.Open(request, timeout=60)).ticket)

    async def finish(self, item, exit_code=0):
        """End by itself with `exit_code`."""
        if exit_code:
            fields = {"state": S.FAILED, "reason": Reason.EXIT_NONZERO}
        else:
            fields = {"state": S.SUCCEEDED, "reason": Reason.COMPLETED}
        await self.report(
            item.spec.party_run_id, exit_code=exit_code, finished_at=datetime.now(UTC), **fields
        )
