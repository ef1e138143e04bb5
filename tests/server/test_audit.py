"""The audit log on a real PostgreSQL: one chain whoever writes, append-only, tampering found."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flow_contract.audit import Act, Outcome, verify
from flow_contract.errors import InvalidArgument
from flow_server.services.audit import AuditService
from flow_server.storage.database import Database


def act(number=0, **changes):
    return Act(
        **{
            "at": datetime.now(UTC),
            "actor_kind": "user",
            "actor": "alice",
            "address": "ipv4:127.0.0.1:1",
            "action": "TaskService/Start",
            "subject_kind": "task",
            "subject_id": str(number),
            "outcome": Outcome.DONE,
            **changes,
        }
    )


def stranger(number=0):
    return act(number, actor_kind="nobody", actor="", outcome=Outcome.DENIED)


@contextlib.asynccontextmanager
async def writing(engine, clock_s=time.monotonic):
    service = AuditService(Database(engine), clock_s=clock_s)
    running = asyncio.create_task(service.run())
    yield service
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def everything(service):
    return await service.read(after_sequence=0, limit=1000)


async def test_what_was_recorded_is_read_in_order_and_holds(engine):
    async with writing(engine) as service:
        for number in range(3):
            await service.record(act(number))
        entries = await everything(service)
    assert [entry.act.subject_id for entry in entries] == ["0", "1", "2"]
    assert verify(entries) is None


async def test_replicas_that_write_at_once_make_one_chain(engine):
    async with writing(engine) as one, writing(engine) as two:
        await asyncio.gather(
            *(service.record(act(number)) for number in range(50) for service in (one, two))
        )
        entries = await everything(one)
    assert len(entries) == 100
    assert verify(entries) is None


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"]
)
async def test_an_entry_can_be_neither_changed_nor_taken_away(engine, statement):
    async with writing(engine) as service:
        await service.record(act())
        with pytest.raises(DBAPIError, match="append-only"):
            async with engine.begin() as connection:
                await connection.execute(text(statement))
        assert len(await everything(service)) == 1


@pytest.mark.parametrize(
    ("statement", "found_at"),
    [
        ("UPDATE audit SET actor = 'mallory' WHERE sequence = 3", 3),
        ('UPDATE audit SET detail = \'{"a": "b"}\' WHERE sequence = 2', 2),
        ("UPDATE audit SET at = at + interval '1 microsecond' WHERE sequence = 4", 4),
        ("DELETE FROM audit WHERE sequence = 3", 3),
        ("UPDATE audit SET sequence = sequence + 1 WHERE sequence >= 5", 5),
    ],
)
async def test_who_takes_the_trigger_away_and_tampers_is_found_out(engine, statement, found_at):
    async with writing(engine) as service:
        for number in range(5):
            await service.record(act(number))
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
            await connection.execute(text(statement))
        assert verify(await everything(service)).sequence == found_at


async def test_strangers_who_try_without_end_are_counted_and_do_not_fill_the_log(engine):
    now_s = 100.0
    async with writing(engine, clock_s=lambda: now_s) as service:
        for number in range(500):
            await service.record(stranger(number))
        await service.record(act(1))
        entries = await everything(service)
    assert len(entries) == 11
    assert entries[-1].act.detail == {"suppressed_before": "490"}


async def test_strangers_are_written_down_again_a_second_later(engine):
    now_s = 100.0
    async with writing(engine, clock_s=lambda: now_s) as service:
        for number in range(20):
            await service.record(stranger(number))
        now_s = 101.0
        await service.record(stranger())
        assert len(await everything(service)) == 11


async def test_what_can_not_be_stored_holds_up_nobody_else(engine):
    async with writing(engine) as service:
        await asyncio.gather(
            service.record(act(1)),
            service.record(act(2, actor="\x00")),
            service.record(act(3)),
        )
        entries = await everything(service)
    assert [entry.act.subject_id for entry in entries] == ["1", "3"]
    assert verify(entries) is None


@pytest.mark.parametrize(("after_sequence", "limit"), [(-1, 10), (0, 0), (0, 1001)])
async def test_numbers_out_of_range_are_named(engine, after_sequence, limit):
    async with writing(engine) as service:
        with pytest.raises(InvalidArgument):
            await service.read(after_sequence=after_sequence, limit=limit)
