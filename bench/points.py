"""Metric points per second, durable, beside `unnest` alone into a table of the same form."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import grpc

from bench import proc
from bench.figures import median, spread
from bench.flows import data_of, make_task
from bench.processes import Server, child
from bench.table import Row
from flow_contract.metrics import MetricBatch, MetricPoints
from flow_server_sdk import FlowServerSdk
from flow_wire import metrics_pb2, metrics_pb2_grpc
from flow_wire.codec.metrics import encode_metric_batch

SENDERS = 4
BATCH = 5_000
BATCHES = 25
ROUNDS = 5
GOAL = 0.5
PREFIX = "points"
_TABLE = """
CREATE TABLE bench_points (
  party_run_id text, sequence bigint, name text NOT NULL, step bigint NOT NULL,
  at timestamptz NOT NULL, value double precision NOT NULL,
  PRIMARY KEY (party_run_id, sequence))
"""
_UNNEST = """
INSERT INTO bench_points (party_run_id, sequence, name, step, at, value)
SELECT $1, $2::bigint + place, name, step, timestamptz 'epoch' + at_us * interval '1 microsecond',
       value
FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::float8[])
     WITH ORDINALITY AS sent(name, step, at_us, value, place)
"""
_POINTS = MetricPoints(
    names=tuple(("loss", "accuracy")[number % 2] for number in range(BATCH)),
    steps=tuple(range(BATCH)),
    at_us=tuple(1_700_000_000_000_000 + number for number in range(BATCH)),
    values=tuple(number / BATCH for number in range(BATCH)),
)


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the row on metric points."""
    with contextlib.ExitStack() as stack:
        arguments = ["-m", "bench.sites", server.address, PREFIX, str(SENDERS)]
        child(stack, "sites", arguments, folder).hear()
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        parties = [f"{PREFIX}-{number:04}" for number in range(SENDERS)]
        task_id = make_task(sdk, image="simulated", command=["run"], parties=parties)
        pushed, inserted = asyncio.run(_rounds(server, sdk, task_id))
    return [
        Row(
            measure=f"metric points stored, {SENDERS} parties, {BATCH} at a time",
            value=spread(pushed, "points/s"),
            reference=f"unnest alone, {SENDERS} connections: {spread(inserted, 'points/s')}",
            ratio=median(pushed) / median(inserted),
            goal=GOAL,
            more_is_better=True,
        )
    ]


async def _rounds(
    server: Server, sdk: FlowServerSdk, task_id: str
) -> tuple[list[float], list[float]]:
    pushed: list[float] = []
    inserted: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        databases = [await asyncpg.connect(server.database_url) for _ in range(SENDERS)]
        for database in databases:
            stack.push_async_callback(database.close)
        await databases[0].execute(_TABLE)
        channels = [grpc.aio.insecure_channel(server.address) for _ in range(SENDERS)]
        for channel in channels:
            stack.push_async_callback(channel.close)
        for number in range(ROUNDS + 1):
            names = [uuid.uuid4().hex for _ in range(SENDERS)]
            proc.wait_until_quiet()
            unnest = await _rate(
                [_insert(one, name) for one, name in zip(databases, names, strict=True)]
            )
            # A run of its own for each round: points are counted from 1 in each.
            data_of(await asyncio.to_thread(sdk.task.start, task_id))
            shares = await _shares(databases[0], task_id)
            proc.wait_until_quiet()
            push = await _rate(
                [_push(channel, *share) for channel, share in zip(channels, shares, strict=True)]
            )
            data_of(await asyncio.to_thread(sdk.task.stop, task_id))
            data_of(await asyncio.to_thread(sdk.task.wait, task_id, timeout_s=300))
            if number:
                pushed.append(push)
                inserted.append(unnest)
    return pushed, inserted


async def _rate(senders: list[Callable[[], Awaitable[None]]]) -> float:
    began_s = time.monotonic()
    await asyncio.gather(*(send() for send in senders))
    return SENDERS * BATCH * BATCHES / (time.monotonic() - began_s)


def _insert(database: asyncpg.Connection, name: str) -> Callable[[], Awaitable[None]]:
    async def insert() -> None:
        for number in range(BATCHES):
            points = _POINTS
            await database.execute(
                _UNNEST,
                name,
                number * BATCH,
                points.names,
                points.steps,
                points.at_us,
                points.values,
            )

    return insert


def _push(
    channel: grpc.aio.Channel, party: str, party_run_id: str
) -> Callable[[], Awaitable[None]]:
    stub = metrics_pb2_grpc.MetricServiceStub(channel)

    async def push() -> None:
        for number in range(BATCHES):
            batch = MetricBatch(
                party_run_id=party_run_id,
                first_sequence=number * BATCH + 1,
                points=_POINTS,
                dropped=0,
            )
            await stub.Push(
                metrics_pb2.PushMetricsRequest(federated_id=party, batch=encode_metric_batch(batch))
            )

    return push


async def _shares(database: asyncpg.Connection, task_id: str) -> list[tuple[str, str]]:
    rows = await database.fetch(
        "SELECT federated_id, party_run_id FROM party_runs JOIN tasks"
        " ON tasks.latest_run_id = party_runs.run_id WHERE task_id = $1 ORDER BY rank",
        task_id,
    )
    return [(row["federated_id"], row["party_run_id"]) for row in rows]
