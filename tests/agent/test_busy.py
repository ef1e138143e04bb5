"""An agent whose disks or engine do not answer still answers its server."""

import asyncio
import threading
from pathlib import PosixPath

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Resources
from party_agent.journal_file import JournalFile
from tests.agent.fakes import make_assignment
from tests.agent.party import Site

S = PartyRunState
BOTH_GPUS = Resources(gpus=GpuRequest(count=2))


class DeadDisk(PosixPath):
    """A path on a network disk that answers nobody until the test lets it."""

    answers = threading.Event()
    asked = threading.Event()

    def __fspath__(self):
        DeadDisk.asked.set()
        # With a bound: where it is asked in the loop itself, nobody could let it answer.
        DeadDisk.answers.wait(20)
        return super().__fspath__()


@pytest.fixture
async def site(tmp_path, server):
    (tmp_path / "scans").mkdir()
    server.heartbeat_s = 1
    site = Site(tmp_path / "state", server)
    data = {"scans": DeadDisk(tmp_path / "scans"), "local": tmp_path / "scans"}
    site.settings = site.settings.model_copy(update={"data": data})
    DeadDisk.answers.clear()
    DeadDisk.asked.clear()
    await site.start()
    yield site
    DeadDisk.answers.set()
    await site.kill()


async def two_heartbeats(server):
    seen = server.heartbeats
    await server.until(lambda: server.heartbeats >= seen + 2)


async def test_a_dead_data_disk_holds_up_only_those_who_need_it(server, site):
    server.assign(make_assignment(federated_data="scans"))
    await asyncio.to_thread(DeadDisk.asked.wait)
    server.assign(make_assignment("run2", order=2, federated_data="local"))
    await server.until_state(S.RUNNING, "run2")
    await two_heartbeats(server)
    assert len(server.hellos) == 1
    assert not DeadDisk.answers.is_set()
    DeadDisk.answers.set()
    await server.until_state(S.RUNNING)


async def test_a_stop_does_not_wait_for_a_dead_disk(server, site):
    server.assign(make_assignment(federated_data="scans"))
    await asyncio.to_thread(DeadDisk.asked.wait)
    server.assign(make_assignment("run1", Desired.STOPPED, Reason.STOPPED_BY_USER))
    await server.until_state(S.STOPPED)
    assert not DeadDisk.answers.is_set()


async def test_who_waits_for_gpus_learns_at_once_that_its_data_are_unknown(server, site):
    server.assign(make_assignment(resources=BOTH_GPUS))
    await server.until_state(S.RUNNING)
    waiting = make_assignment("run2", order=2, resources=BOTH_GPUS, federated_data="nothing")
    server.assign(waiting)
    assert (await server.until_state(S.REFUSED, "run2")).reason is Reason.DATA_UNKNOWN


async def test_who_waits_for_gpus_before_a_dead_disk_waits_visibly_and_can_be_stopped(server, site):
    server.assign(make_assignment(resources=BOTH_GPUS))
    await server.until_state(S.RUNNING)
    server.assign(make_assignment("run2", order=2, resources=BOTH_GPUS, federated_data="scans"))
    await asyncio.to_thread(DeadDisk.asked.wait)
    assert (await server.until_state(S.PENDING, "run2")).reason is Reason.WAITING_FOR_GPU
    server.assign(make_assignment("run2", Desired.STOPPED, Reason.STOPPED_BY_USER))
    await server.until_state(S.STOPPED, "run2")


async def test_a_journal_on_a_slow_disk_does_not_stop_the_heartbeat(server, site):
    await site.agent.connected.wait()
    goes_on = threading.Event()
    file: JournalFile = site.agent._journal._file
    apply = file._apply

    def slow(statements):
        goes_on.wait(20)
        apply(statements)

    file._apply = slow
    server.assign(make_assignment())
    await two_heartbeats(server)
    assert server.latest() is None
    goes_on.set()
    await server.until_state(S.RUNNING)
