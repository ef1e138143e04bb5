"""The workloads of docs/workloads.md do what the page says, as plain processes of a real site."""

import asyncio
import json
import shutil
import sys

import pytest

from flow_contract.ids import new_id
from flow_contract.lifecycle import PartyRunState
from party_agent.app import Agent
from party_agent.runtimes import choose_runtime
from party_agent.settings import AgentSettings
from tests.agent.fake_server import FakeServer
from tests.agent.fakes import make_assignment
from tests.workloads.pages import compiled, program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plain processes need Linux")


@pytest.fixture
async def server():
    server = await FakeServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def site(server, short_folder):
    settings = AgentSettings(
        server=server.address,
        party="hospital-a",
        runtime="process",
        state_dir=short_folder,
        insecure=True,
    )
    agent = Agent(settings, await choose_runtime(settings))
    running = asyncio.create_task(agent.run())
    yield agent
    await agent.aclose()
    await running


@pytest.fixture
def short_folder(tmp_path_factory):
    # The page says so: a socket's address has 107 bytes.
    return tmp_path_factory.mktemp("w")


def command_of(language, folder):
    if language == "c":
        return (str(compiled(folder)),)
    if language == "sh":
        if shutil.which("curl") is None:
            pytest.skip("there is no curl")
        return ("sh", "-c", program("sh"))
    return (sys.executable, "-c", program("python"))


@pytest.mark.parametrize("language", ["python", "sh", "c"])
async def test_each_workload_of_the_page_reports_as_it_says(server, site, short_folder, language):
    run_id = new_id()
    command = command_of(language, short_folder)
    server.assign(make_assignment(run_id, command=command, epochs=3, hyper_parameter=("lr=0.5",)))
    end = await server.until_state(PartyRunState.SUCCEEDED, run_id)
    assert (end.current_epoch, end.total_epoch, end.note) == (3, 3, "trained")
    # The small server of this test takes no outputs, so what was sent waits here.
    ledger = short_folder / "uploads" / run_id / "ledger"
    (sent,) = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert sent["name"] == "model.txt"
    assert (ledger.parent / "00000001").read_text().startswith("weight")
    assert (
        await server.until_metrics(run_id, 3)
        == {
            "python": [0.25, 0.0625, 0.015625],
            "sh": [0.1, 0.2, 0.3],
            "c": [1.0, 0.5, 0.333333],
        }[language]
    )
