"""Leases: who counts as connected, also when the database was away at the wrong moment."""

import asyncio

import pytest

from flow_server.hub.registry import Registry
from flow_server.hub.sessions import Session, SessionEnded

SHORT = {"lease_s": 1, "lease_renewal_s": 0.1, "sweep_s": 0.05}


async def until(condition, timeout_s=60):
    """Ask until it holds: of what time does to rows nothing tells a client."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("server_options", [SHORT])
async def test_a_party_whose_leaving_could_not_be_written_down_is_absent_all_the_same(
    sdk, connect, engine
):
    agent = await connect("hospital-a")
    async with engine.begin() as connection:
        owner = (await connection.exec_driver_sql("SELECT owner_id FROM parties")).scalar_one()
    await agent.cut()

    async def is_absent():
        return not (await sdk.party.get("hospital-a"))["data"]["connected"]

    await until(is_absent)
    async with engine.begin() as connection:
        # As if the database had not answered when the connection ended.
        await connection.exec_driver_sql(
            "UPDATE parties SET owner_id = $1, lease_expires_at = now() + interval '2 s'", (owner,)
        )
    await until(is_absent)


async def test_an_older_connection_that_is_greeted_late_does_not_end_the_newer_one():
    registry = Registry()
    older = Session(federated_id="hospital-a", epoch=1)
    newer = Session(federated_id="hospital-a", epoch=2)
    registry.add(newer)
    registry.add(older)

    assert registry.get("hospital-a") is newer
    with pytest.raises(SessionEnded, match="newer connection"):
        await older.next()
    registry.remove(older)
    assert registry.get("hospital-a") is newer
