"""A kill between making room for a workload and writing the journal: nothing is closed too soon."""

import pytest

from tests.agent.fakes import make_assignment, until


@pytest.fixture
async def site_without_server(site, server):
    await site.kill()
    await server.stop()
    await site.start()
    return site


async def test_what_nobody_knows_of_may_still_be_ordered_until_the_server_was_heard(
    site_without_server,
):
    assert site_without_server.agent._may_write("run1")


async def test_once_the_server_was_heard_what_it_does_not_name_is_over(site, server):
    await until(site.agent.connected.is_set)
    assert not site.agent._may_write("run1")
    server.assign(make_assignment("run1"))
    await until(lambda: site.agent.units.party_run_ids == ("run1",))
    assert site.agent._may_write("run1")
