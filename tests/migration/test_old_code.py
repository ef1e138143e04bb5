"""Released code on today's schema: it serves while the database is upgraded under it, or says no.

Real processes of the released code, over one PostgreSQL with those of today.
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.engine import make_engine
from tests.e2e.processes import children
from tests.e2e.processes.federation import Federation, Server, Site, ends
from tests.migration.released_code import SCHEMAS, ReleasedCode
from tests.migration.versions import Versions

PARTY = "hospital-a"
_FLOW = Path(__file__).with_name("flow_of_a_user.py")
_RUNTIME = ("--runtime", "process", "--on-exit", "stop")


@pytest.fixture(params=SCHEMAS)
def old_code(request, tmp_path):
    return ReleasedCode(request.param, tmp_path / "released")


@pytest.fixture
def cleared():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def old_server(old_code, empty_url, tmp_path, cleared):
    """A replica of the released code on its own schema."""
    asyncio.run(Versions(empty_url).go_to(old_code.schema))
    server = Server(tmp_path / "old", "--database-url", empty_url, **old_code.settings)
    cleared.callback(server.close)
    server.start()
    return server


@pytest.fixture
def upgraded(old_server, empty_url):
    """Today's code has brought the database to its schema, while the old replica serves on it."""
    done = children.run("db", "upgrade", "--database-url", empty_url)
    assert done.returncode == 0, done.stderr
    assert asyncio.run(_current(empty_url)) == schema.head()
    assert old_server.is_running


@pytest.fixture
def new_server(upgraded, empty_url, tmp_path, cleared):
    server = Server(tmp_path / "new", "--database-url", empty_url)
    cleared.callback(server.close)
    server.start()
    return server


@pytest.fixture
def add_site(tmp_path, cleared):
    def add(party, server, **settings):
        site = Site(tmp_path / party, party, server, *_RUNTIME, **settings)
        cleared.callback(site.close)
        site.start()
        return site

    return add


@pytest.fixture
def federation(empty_url, cleared):
    def make(server, *sites):
        flow = Federation(server, list(sites), "any", empty_url)
        cleared.callback(flow.close)
        return flow

    return make


async def _current(url):
    engine = make_engine(parse(url))
    try:
        return await schema.current(engine)
    finally:
        await engine.dispose()


def test_every_released_schema_is_one_of_ours_and_older_than_today_s():
    assert set(SCHEMAS) <= set(schema.revisions()) - {schema.head()}
    assert "0001" in SCHEMAS


@pytest.mark.usefixtures("upgraded")
def test_an_old_replica_serves_its_users_on_the_upgraded_database(old_code, old_server, add_site):
    add_site(PARTY, old_server, **old_code.settings)
    host, port = old_server.address.rsplit(":", 1)

    came_of_it = old_code.run(_FLOW, host, port, PARTY)

    assert str(came_of_it.pop("sdk")).startswith(old_code.settings["PYTHONPATH"].split(":")[0])
    assert came_of_it == {
        "succeeded": ["Succeeded", 0],
        "listed": {"ends by itself": "Succeeded", "has to be stopped": "Running"},
        "stopped": "Cancelled",
        "runs": 1,
        "left": 0,
    }


def test_a_run_goes_on_while_database_replica_and_agent_are_upgraded(
    old_code, old_server, add_site, federation, request
):
    settings = old_code.settings
    agents = [add_site(party, old_server, **settings) for party in (PARTY, "hospital-b")]
    before = federation(old_server, *agents)
    gate = before.gate()
    task_id = before.shell(gate.script, parties=(PARTY, "hospital-b"))
    before.start(task_id)
    before.until_status(task_id, "Running")

    new_server = request.getfixturevalue("new_server")
    for agent in agents:
        agent.kill()
    # One agent stays as old as it is; the other's successor adopts what its old code launched.
    add_site(PARTY, new_server, **settings)
    add_site("hospital-b", new_server)
    assert old_server.terminate() == 0
    gate.open()

    after = federation(new_server)
    final = after.wait(task_id)
    assert final["status"] == "Succeeded"
    assert [run["number"] for run in after.sdk.task.runs(task_id)["data"]["runs"]] == [1]


def test_a_start_on_the_new_replica_reaches_an_agent_on_the_old_one_and_back(
    old_code, old_server, new_server, add_site, federation
):
    on_old = add_site(PARTY, old_server, **old_code.settings)
    on_new = add_site("hospital-b", new_server)
    by_new = federation(new_server, on_old, on_new)
    by_old = federation(old_server, on_old, on_new)
    both = (PARTY, "hospital-b")

    for starts, waits in ((by_new, by_old), (by_old, by_new)):
        task_id = starts.shell("true", parties=both)
        starts.start(task_id)
        assert waits.wait(task_id)["status"] == "Succeeded"
        assert set(ends(starts.sdk.task.get(task_id)["data"]).values()) == {
            ("succeeded", "completed")
        }

    for starts, stops in ((by_new, by_old), (by_old, by_new)):
        gate = starts.gate()
        task_id = starts.shell(gate.script, parties=both)
        starts.start(task_id)
        stops.until_status(task_id, "Running")
        assert stops.sdk.task.stop(task_id)["ret_code"] == 0
        assert starts.wait(task_id)["status"] == "Cancelled"
        assert stops.sdk.task.delete(task_id)["ret_code"] == 0


@pytest.mark.usefixtures("upgraded")
def test_an_old_replica_that_is_started_anew_serves_or_says_what_to_do(old_code, old_server):
    """Code from 0003 on reads what the schema says of itself; older code takes its own only."""
    assert old_server.terminate() == 0
    if old_code.schema >= "0003":
        old_server.start()
        return
    old_server.launch("server", "--port", "0", "--http-port", "0", *old_server._options)
    assert old_server.ended() != 0
    assert f"has schema {schema.head()}" in old_server.log
    assert "upgrade this server" in old_server.log
