"""Server and database may go away at any moment: nothing stored is lost, waits go on."""

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from flow_server.storage.embedded import EmbeddedPostgres
from tests.agent.fakes import until
from tests.e2e.processes import children
from tests.server.flows import make_task

WAIT_S = 90

pytestmark = pytest.mark.postgres


async def begin(sdk, site):
    """Start a run that ends when the site's `trained` is fired; return it with its wait."""
    task_id = await make_task(sdk, ["hospital-a"], data="", command=["exit", "0", "on", "trained"])
    await sdk.task.start(task_id)
    await until(lambda: site.state.starts)
    heard, seen = asyncio.Event(), []

    def hear(data):
        seen.append(data["status"])
        heard.set()

    waiting = asyncio.create_task(sdk.task.wait(task_id, timeout_s=WAIT_S, on_change=hear))
    await asyncio.wait_for(heard.wait(), WAIT_S)
    return task_id, waiting, seen


async def test_a_wait_outlives_a_server_that_is_killed_and_started_again(
    make_replicas, client_of, make_site
):
    (server,) = await make_replicas(1)
    site, sdk = await make_site("hospital-a", server), await client_of(server)
    task_id, waiting, seen = await begin(sdk, site)

    await asyncio.to_thread(server.kill)
    # It ends while nobody can hear of it.
    site.state.fire("trained")
    await asyncio.to_thread(server.start)

    assert (await waiting)["data"]["status"] == "Succeeded"
    assert "Failed" not in seen
    runs = (await sdk.task.runs(task_id))["data"]["runs"]
    assert [(run["number"], run["status"]) for run in runs] == [(1, "Succeeded")]
    assert list(site.state.starts.values()) == [1]


@pytest.fixture
def cluster_dir():
    # Not pytest's own directory: that is closed to the account that PostgreSQL runs as.
    directory = Path(tempfile.mkdtemp(prefix="fedflow-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


async def end_in_order(postgres):
    await postgres.aclose()


async def end_by_force(postgres):
    os.kill(postgres.pid, signal.SIGKILL)
    await postgres.died()
    await postgres.aclose()


@pytest.mark.parametrize("end", [end_in_order, end_by_force])
async def test_a_database_that_is_restarted_during_a_run_has_lost_nothing(
    make_replicas, client_of, make_site, cluster_dir, end
):
    postgres = EmbeddedPostgres(cluster_dir / "pg")
    url = await postgres.start()
    try:
        migrated = await asyncio.to_thread(children.run, "db", "upgrade", "--database-url", url)
        assert migrated.returncode == 0, migrated.stderr
        (server,) = await make_replicas(1, url=url)
        site, sdk = await make_site("hospital-a", server), await client_of(server)
        task_id, waiting, seen = await begin(sdk, site)

        await end(postgres)
        site.state.fire("trained")
        postgres = EmbeddedPostgres(cluster_dir / "pg")
        assert await postgres.start() == url

        final = (await waiting)["data"]
        assert final["status"] == "Succeeded"
        assert final["party_status"][0]["exit_code"] == 0
        assert "Failed" not in seen
        assert server.is_running, server.log
        runs = (await sdk.task.runs(task_id))["data"]["runs"]
        assert [(run["number"], run["status"]) for run in runs] == [(1, "Succeeded")]
        assert list(site.state.starts.values()) == [1]
    finally:
        await asyncio.to_thread(server.kill)
        await postgres.aclose()
