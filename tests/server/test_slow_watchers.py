"""Who watches and does not read is ended with its place, and costs no more than one message."""

import asyncio

import grpc
import pytest
from sqlalchemy import text

from tests.server.event_watch import RawWatch, rows_in_order

# A window of 64 KiB that never grows, on a connection of its own.
NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
BATCH, TIMES = 400, 40
MANY = BATCH * TIMES
FLOOD = text(
    """
    INSERT INTO feed_events (federated_id, side, to_value)
    SELECT repeat('x', 50) || n, 'work', 'draining' FROM generate_series(1, :batch) AS n
    """
)


async def flood(engine):
    for _ in range(TIMES):
        async with engine.begin() as connection:
            await connection.execute(FLOOD, {"batch": BATCH})
            await connection.exec_driver_sql("SELECT pg_notify('fedflow_events', '')")


def ids(events):
    return [event.event_id for event in events]


async def test_a_burst_larger_than_what_may_wait_ends_nobody_who_reads(server, engine):
    watching = RawWatch(server.grpc_address)
    await watching.read()
    await flood(engine)
    events = await watching.until(lambda seen: len(seen) >= MANY)
    assert ids(events) == await rows_in_order(engine)
    await watching.close()


@pytest.mark.parametrize("server_options", [{"event_stall_s": 1}])
async def test_who_never_reads_is_ended_and_can_go_on_without_a_hole_or_a_repeat(
    server, engine, capsys
):
    lazy = RawWatch(server.grpc_address, options=NARROW)
    keen = RawWatch(server.grpc_address)
    await lazy.read()
    await keen.read()
    await flood(engine)
    await keen.until(lambda seen: len(seen) >= MANY)
    said = ""
    async with asyncio.timeout(60):
        while "watcher_ended" not in said:
            await asyncio.sleep(0.05)
            said += capsys.readouterr().out
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lazy.until(lambda _: False)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "did not read" in caught.value.details()
    assert lazy.token in caught.value.details()
    assert 0 < len(lazy.events) < MANY

    again = RawWatch(server.grpc_address, token=lazy.token)
    rest = await again.until(lambda seen: len(seen) >= MANY - len(lazy.events))
    assert ids(lazy.events) + ids(rest) == await rows_in_order(engine)
    for each in (lazy, keen, again):
        await each.close()


@pytest.mark.parametrize("server_options", [{"event_stall_s": 0.2, "event_watches": 1}])
async def test_who_never_reads_at_all_does_not_keep_its_place_for_ever(server, engine):
    lazy = RawWatch(server.grpc_address, options=NARROW)
    await lazy.read()
    await flood(engine)
    async with asyncio.timeout(60):
        while True:
            other = RawWatch(server.grpc_address)
            try:
                await other.read()
            except grpc.aio.AioRpcError:
                # Nothing tells another client of that moment.
                await asyncio.sleep(0.05)
            else:
                break
            finally:
                await other.close()
    await lazy.close()
