"""What the process runtime cleans up, and what of others' it leaves alone."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from flow_contract.ids import new_id
from flow_contract.templates import Network, Resources
from party_agent.runtime import process_spec, supervisor
from party_agent.runtime.port import Workload
from party_agent.runtime.process import ProcessRuntime

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the process runtime needs Linux")


@pytest.fixture
async def runtime(tmp_path):
    runtime = ProcessRuntime(tmp_path / "state", environ=os.environ)
    await runtime.open()
    yield runtime
    for seen in await runtime.list():
        await runtime.remove(seen.party_run_id)
    await runtime.aclose()


@pytest.fixture
def root(tmp_path, runtime):
    return tmp_path / "state"


def make_workload(*command):
    return Workload(
        party_run_id=new_id(),
        image_url="any:1",
        workdir="/",
        command=command,
        env={},
        binds=(),
        resources=Resources(),
        gpu_ids=(),
        user="",
        network=Network.NONE,
        labels={},
    )


def ignore(reason, message):
    """Take progress and do nothing with it."""


def half_made(root: Path, *, entries: tuple[str, ...]) -> Path:
    folder = root / new_id()
    for name in (process_spec.HOME, process_spec.TEMPORARY)[: len(entries)]:
        (folder / name).mkdir(parents=True)
    for name in entries:
        if not (folder / name).exists():
            (folder / name).write_text("")
    return folder


async def test_what_a_crash_left_of_a_prepare_is_removed(runtime, root):
    entries = (process_spec.HOME, process_spec.TEMPORARY, supervisor.LOCK)
    folders = [half_made(root, entries=entries[:number]) for number in (1, 2, 3)]
    (folders[2] / f".{supervisor.SPEC}.4711").write_text("{")
    await runtime.tidy()
    assert list(root.iterdir()) == []


async def test_what_a_crash_left_of_a_removal_is_removed(runtime, root):
    left = root / f".removed-{new_id()}-1" / "work"
    left.mkdir(parents=True)
    (left / "data").write_text("")
    await runtime.tidy()
    assert list(root.iterdir()) == []


async def test_workloads_stay_at_whatever_stage(runtime):
    prepared, running = make_workload("sleep", "1000"), make_workload("sleep", "1000")
    await runtime.prepare(prepared, ignore)
    await runtime.prepare(running, ignore)
    await runtime.launch(running)
    before = await runtime.list()
    await runtime.tidy()
    assert await runtime.list() == before
    assert len(before) == 2


async def test_a_prepare_under_way_is_not_disturbed(runtime):
    workloads = [make_workload("sleep", "1000") for _ in range(20)]
    await asyncio.gather(
        *(runtime.prepare(workload, ignore) for workload in workloads),
        *(runtime.tidy() for _ in range(10)),
    )
    assert len(await runtime.list()) == 20


async def test_what_anybody_else_put_there_stays(runtime, root, tmp_path):
    (root / "backup").mkdir()
    (root / "data").mkdir()
    (root / "data" / "patients.csv").write_text("1")
    (root / "empty-home" / process_spec.HOME).mkdir(parents=True)
    (root / "empty-home" / "thesis.tex").write_text("1")
    (root / "full-home" / process_spec.HOME).mkdir(parents=True)
    (root / "full-home" / process_spec.HOME / "letter").write_text("1")
    (root / "notes").write_text("1")
    (tmp_path / "far" / process_spec.HOME).mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "far")
    names = sorted(path.name for path in root.iterdir())
    await runtime.tidy()
    assert sorted(path.name for path in root.iterdir()) == names
    assert (tmp_path / "far" / process_spec.HOME).exists()
    assert (root / "data" / "patients.csv").exists()


async def test_an_image_is_gone_already_and_none_is_ever_pulled(runtime):
    await runtime.prepare(make_workload("true"), ignore)
    await runtime.aclose()
    assert [image async for image in runtime.pulls()] == []
