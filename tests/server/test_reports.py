"""Taking reports in: what is acknowledged is stored, and nobody pays for another's report."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import grpc
import pytest

from flow_contract.assignments import Report
from flow_contract.errors import StaleLease
from flow_contract.lifecycle import PartyRunState
from flow_server.grpc_api.agents import MAX_REPORTS
from flow_server.hub.sessions import MAX_WAITING_ACKNOWLEDGEMENTS, Session
from flow_server.services.reports import ReportService
from flow_server.storage.database import Database
from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import encode_report
from tests.server.flows import make_task, party_status

S = PartyRunState


def report_on(party_run_id, sequence=1, state=S.PREPARING):
    return Report(
        party_run_id=party_run_id, sequence=sequence, state=state, observed_at=datetime.now(UTC)
    )


@contextlib.asynccontextmanager
async def working(service):
    task = asyncio.create_task(service.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def blocked_backends(engine):
    async with engine.begin() as connection:
        waiting = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return waiting.scalar_one()


async def until_blocked(engine):
    async with asyncio.timeout(30):
        while not await blocked_backends(engine):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


async def test_a_report_that_a_takeover_overtook_is_not_acknowledged(sdk, connect, engine):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.assigned()
    async with engine.begin() as connection:
        await connection.exec_driver_sql("SELECT FROM runs FOR UPDATE")
        await agent.report(item.spec.party_run_id, S.PREPARING, wait=False)
        await until_blocked(engine)
        # As if another replica took the party over while the report waits for its run.
        await connection.exec_driver_sql("UPDATE parties SET epoch = epoch + 1")

    assert await agent.ended() is grpc.StatusCode.ABORTED
    assert agent.acknowledged == set()
    assert (await party_status(sdk, task_id))["hospital-a"] == ("pending", "none")


async def test_what_a_workload_says_of_itself_is_shown_and_the_newest_counts(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id, epochs=7)
    party_run_id = (await agent.assigned()).spec.party_run_id

    async def shown(**said):
        await agent.report(party_run_id, S.PREPARING, **said)
        (party,) = (await sdk.task.get(task_id))["data"]["party_status"]
        return party["current_epoch"], party["total_epoch"], party["note"]

    assert await shown() == (0, None, "")
    assert await shown(current_epoch=1, total_epoch=5, note="warming up") == (1, 5, "warming up")
    assert await shown(current_epoch=2, total_epoch=5) == (2, 5, "warming up")
    # From an agent that doesn't know, or one that makes no sense.
    assert await shown() == (2, 5, "warming up")
    assert await shown(current_epoch=-3, note="x\x00" * 2000) == (2, 5, "x" * 1000)
    (run,) = (await sdk.task.runs(task_id))["data"]["runs"]
    assert run["party_status"][0]["current_epoch"] == 2


async def test_an_old_connection_in_a_batch_does_not_end_the_new_one(connect, engine):
    old = await connect("hospital-a")
    new = await connect("hospital-a")
    service = ReportService(Database(engine))
    submitted = [
        asyncio.create_task(service.submit("hospital-a", agent.epoch, [report_on("f" * 32)]))
        for agent in (old, new)
    ]
    await asyncio.sleep(0)
    async with working(service):
        answers = await asyncio.gather(*submitted, return_exceptions=True)
    assert isinstance(answers[0], StaleLease)
    assert answers[1] is None


async def test_a_report_that_the_database_refuses_spoils_no_other(sdk, connect, engine):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.assigned()
    good = report_on(item.spec.party_run_id)
    poison = replace(good, party_run_id="f" * 32, sequence=2**63)
    service = ReportService(Database(engine))
    submitted = [
        asyncio.create_task(service.submit("hospital-a", agent.epoch, [each]))
        for each in (poison, good)
    ]
    await asyncio.sleep(0)
    async with working(service):
        answers = await asyncio.gather(*submitted, return_exceptions=True)
        # And reports are still taken in.
        await service.submit("hospital-a", agent.epoch, [report_on("e" * 32)])
    assert isinstance(answers[0], Exception)
    assert answers[1] is None
    assert (await party_status(sdk, task_id))["hospital-a"][0] == "preparing"


async def test_a_message_with_too_many_reports_is_refused_to_its_sender(connect):
    agent, other = await connect("hospital-a"), await connect("hospital-b")
    wire = encode_report(report_on("f" * 32))
    many = pb.Reports(reports=[wire] * (MAX_REPORTS + 1))
    await agent._call.write(pb.AgentMessage(reports=many))
    assert await agent.ended() is grpc.StatusCode.INVALID_ARGUMENT
    await other.report("f" * 32, S.PREPARING)


async def test_an_agent_that_reads_no_acknowledgements_is_cut_off():
    session = Session(federated_id="hospital-a", epoch=1)
    keys = [("f" * 32, number) for number in range(1000)]
    for _ in range(MAX_WAITING_ACKNOWLEDGEMENTS // len(keys) + 1):
        session.acknowledge(keys)
    with pytest.raises(StaleLease, match="does not read"):
        await session.next()
