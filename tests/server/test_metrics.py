"""Metrics taken in from agents and shown: once each, in order, to whom they belong."""

import asyncio
import math
from dataclasses import replace

import grpc
import pytest

from flow_contract.access import Caller, CallerKind, Right
from flow_contract.errors import Forbidden
from flow_contract.metrics import MAX_BATCH, MAX_POINTS, MetricBatch, MetricPoints
from flow_server.services.metrics import MetricService
from flow_server.storage.database import Database
from flow_wire import metrics_pb2 as pb
from flow_wire import metrics_pb2_grpc
from flow_wire.codec.metrics import encode_metric_batch
from tests.server.flows import make_task

T_US = 1_790_000_000_123_456


def points(*values, name="loss", first_step=0):
    return MetricPoints(
        names=(name,) * len(values),
        steps=tuple(range(first_step, first_step + len(values))),
        at_us=tuple(T_US + place for place in range(len(values))),
        values=values,
    )


@pytest.fixture
async def stub(server):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        yield metrics_pb2_grpc.MetricServiceStub(channel)


@pytest.fixture
async def push(stub):
    async def push(party_run_id, first_sequence, points, *, party="hospital-a", **counts):
        batch = MetricBatch(
            party_run_id=party_run_id,
            first_sequence=first_sequence,
            points=points,
            **counts,
        )
        request = pb.PushMetricsRequest(federated_id=party, batch=encode_metric_batch(batch))
        return (await stub.Push(request)).stored

    return push


@pytest.fixture
async def start(sdk, connect):
    """Start a task over the parties; return its id and the party runs' ids by party."""

    async def start(*parties):
        agents = {party: await connect(party) for party in parties}
        task_id = await make_task(sdk, parties)
        await sdk.task.start(task_id)
        found = {party: (await agents[party].assigned()).spec.party_run_id for party in parties}
        return task_id, found

    return start


async def values(sdk, task_id, **which):
    data = (await sdk.task.metrics(task_id, **which))["data"]
    return [point["value"] for point in data["points"]]


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_points_are_shown_as_they_were_pushed(sdk, start, push):
    task_id, shares = await start("hospital-a")
    assert await push(shares["hospital-a"], 1, points(0.5, -1e300, 0.0)) == 3
    answer = await sdk.task.metrics(task_id)
    assert answer["ret_code"] == 0
    assert answer["data"]["dropped"] == {"hospital-a": 0}
    assert answer["data"]["points"] == [
        {"party": "hospital-a", "name": "loss", "step": step, "value": value, "time": at}
        for step, value, at in (
            (0, 0.5, T_US / 1e6),
            (1, -1e300, (T_US + 1) / 1e6),
            (2, 0.0, (T_US + 2) / 1e6),
        )
    ]


async def test_a_batch_that_comes_again_or_overlaps_is_stored_once(sdk, start, push):
    task_id, shares = await start("hospital-a")
    share = shares["hospital-a"]
    assert await push(share, 1, points(1, 2, 3)) == 3
    assert await push(share, 1, points(1, 2, 3)) == 3
    assert await push(share, 3, points(3, 4, 5)) == 5
    assert await push(share, 1, points()) == 5
    assert await values(sdk, task_id) == [1, 2, 3, 4, 5]


async def test_a_batch_that_would_leave_a_gap_is_not_stored_and_the_answer_says_where_to_go_on(
    sdk, start, push
):
    task_id, shares = await start("hospital-a")
    share = shares["hospital-a"]
    assert await push(share, 1, points()) == 0
    assert await push(share, 2, points(2)) == 0
    assert await push(share, 1, points(1)) == 1
    assert await push(share, 4, points(4)) == 1
    assert await values(sdk, task_id) == [1]


async def test_the_same_batch_pushed_by_two_connections_at_once_is_stored_once(sdk, start, push):
    task_id, shares = await start("hospital-a")
    batch = points(*range(1000))
    pushes = [push(shares["hospital-a"], 1, batch) for _ in range(8)]
    assert await asyncio.gather(*pushes) == [1000] * 8
    assert await values(sdk, task_id) == list(range(1000))


async def test_one_metric_or_one_party_can_be_asked_for(sdk, start, push):
    task_id, shares = await start("hospital-a", "hospital-b")
    await push(shares["hospital-b"], 1, points(3), party="hospital-b", dropped=9)
    await push(shares["hospital-a"], 1, points(1))
    await push(shares["hospital-a"], 2, points(2, name="accuracy"))
    assert await values(sdk, task_id) == [1, 2, 3]
    assert await values(sdk, task_id, name="accuracy") == [2]
    assert await values(sdk, task_id, party="hospital-b") == [3]
    answer = await sdk.task.metrics(task_id)
    assert answer["data"]["dropped"] == {"hospital-a": 0, "hospital-b": 9}


async def test_a_site_that_keeps_its_metrics_is_named_with_its_rule(sdk, start, push):
    task_id, shares = await start("hospital-a", "hospital-b")
    share = shares["hospital-b"]
    await push(shares["hospital-a"], 1, points(1))
    assert await push(share, 1, points(), party="hospital-b", withheld="leave.metrics") == 0
    data = (await sdk.task.metrics(task_id))["data"]
    assert data["withheld"] == {"hospital-b": "leave.metrics"}
    assert [point["party"] for point in data["points"]] == ["hospital-a"]
    # What was kept back stays away, also when the site's rules let later points leave.
    await push(share, 1, points(2), party="hospital-b")
    data = (await sdk.task.metrics(task_id, party="hospital-b"))["data"]
    assert data["withheld"] == {"hospital-b": "leave.metrics"}
    assert [point["value"] for point in data["points"]] == [2]
    assert (await sdk.task.metrics(task_id, party="hospital-a"))["data"]["withheld"] == {}


async def test_a_rule_that_can_not_be_stored_is_refused(start, push):
    _, shares = await start("hospital-a")
    code, details = await refusal(push(shares["hospital-a"], 1, points(), withheld="x" * 129))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith("batch.withheld:")


async def test_what_was_read_before_can_be_left_out(sdk, start, push):
    task_id, shares = await start("hospital-a", "hospital-b")
    for party, share in shares.items():
        await push(share, 1, points(*range(4)), party=party)
    assert await values(sdk, task_id, party="hospital-b", after="1.3") == [3]
    assert await values(sdk, task_id, party="hospital-b", after="1.4") == []
    assert await values(sdk, task_id, after="0.2") == [2, 3, 0, 1, 2, 3]
    assert (await sdk.task.metrics(task_id, after="later"))["ret_code"] == 10000


async def test_pages_follow_one_another_without_a_hole_or_a_repeat(stub, start, push):
    task_id, shares = await start("hospital-a", "hospital-b")
    for party, share in shares.items():
        await push(share, 1, points(*range(7)), party=party)
    seen, after = [], ""
    while True:
        page = await stub.List(pb.ListMetricsRequest(task_id=task_id, limit=3, after=after))
        for party in page.parties:
            seen += [(party.federated_id, value) for value in party.points.value]
        after = page.next
        if not after:
            break
    assert seen == [(party, value) for party in shares for value in range(7)]


async def test_a_party_can_not_push_for_another(sdk, start, push):
    task_id, shares = await start("hospital-a", "hospital-b")
    code, _ = await refusal(push(shares["hospital-b"], 1, points(1), party="hospital-a"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert await values(sdk, task_id) == []


async def test_a_party_run_that_is_gone_is_said_to_be(sdk, start, push):
    await start("hospital-a")
    code, _ = await refusal(push("f" * 32, 1, points(1)))
    assert code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("first", "sent", "field"),
    [
        (1, points(math.nan), "batch.points.value"),
        (1, points(1, math.inf), "batch.points.value"),
        (0, points(1), "batch.first_sequence"),
        (MAX_POINTS, points(1, 2), "batch.first_sequence"),
        (1, points(*range(MAX_BATCH + 1)), "batch.points"),
        (1, points(1, name="x" * 129), "batch.points.names"),
        (1, points(1, name="x\x00"), "batch.points.names"),
        (1, replace(points(1), at_us=(2**60,)), "batch.points.at_us"),
        (1, replace(points(1), steps=()), "batch.points"),
    ],
)
async def test_a_batch_that_can_not_be_stored_is_refused_by_the_name_of_its_field(  # noqa: PLR0917
    sdk, start, push, first, sent, field
):
    task_id, shares = await start("hospital-a")
    code, details = await refusal(push(shares["hospital-a"], first, sent))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(f"{field}:")
    assert await values(sdk, task_id) == []


async def test_metrics_of_earlier_runs_stay_and_go_with_their_task(sdk, start, push, engine):
    task_id, shares = await start("hospital-a")
    await push(shares["hospital-a"], 1, points(1))
    (run,) = (await sdk.task.runs(task_id))["data"]["runs"]
    assert await values(sdk, task_id, run_id=run["run_id"]) == [1]
    await sdk.task.stop(task_id, force=True)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM tasks")
        for table in ("metric_points", "metric_heads"):
            left = await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")  # noqa: S608
            assert left.scalar_one() == 0


async def test_a_task_that_never_ran_and_a_run_of_another_are_not_found(sdk, start):
    idle = await make_task(sdk, ["hospital-z"], name="idle")
    await start("hospital-a")
    for which in ({}, {"run_id": "f" * 32}):
        assert (await sdk.task.metrics(idle, **which))["ret_code"] != 0


async def test_the_sdk_reads_on_where_a_page_ends(sdk, start, engine):
    task_id, shares = await start("hospital-a")
    service = MetricService(Database(engine))
    share, sent = shares["hospital-a"], 60_000
    for first in range(1, sent + 1, MAX_BATCH):
        batch = MetricBatch(
            party_run_id=share, first_sequence=first, points=points(*range(first, first + 5000))
        )
        await service.push("hospital-a", batch)
    assert await values(sdk, task_id) == list(range(1, sent + 1))


async def test_nobody_sees_the_metrics_of_another_user_s_task(sdk, start, push, engine):
    task_id, shares = await start("hospital-a")
    await push(shares["hospital-a"], 1, points(1))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE tasks SET owner = 'alice'")
    service = MetricService(Database(engine))

    def caller(name, *rights):
        return Caller(kind=CallerKind.USER, name=name, rights=frozenset(rights))

    for allowed in (caller("alice", Right.READ), caller("bob", Right.READ_ALL)):
        page = await service.list(task_id, limit=10, caller=allowed)
        assert [party.points.values for party in page.parties] == [(1,)]
    with pytest.raises(Forbidden, match="another user's"):
        await service.list(task_id, limit=10, caller=caller("bob", Right.READ))
