import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import party_agent
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Mount, Network, Resources
from party_agent import journal_file
from party_agent.journal import Journal
from party_agent.journal_file import StateDirInUse, StateDirUnusable
from party_agent.unit import Status, StopStage, Unit, new_unit
from tests.agent.fakes import make_assignment, make_spec

NOW = datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def make_unit(party_run_id="run1", **changes):
    return new_unit(make_assignment(party_run_id, **changes), NOW)


@pytest.fixture
def opened(tmp_path):
    """Open journals in one directory; all are closed at the end."""
    journals = []

    def open_journal(path=tmp_path / "state"):
        journals.append(Journal(path))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


async def test_a_unit_comes_back_as_it_was(opened):
    spec = make_spec(
        env={"A": "b"},
        hyper_parameter=("x",),
        resources=Resources(cpus=1.5, gpus=GpuRequest(device_ids=("0", "1"))),
        mounts=(Mount(data_name="scans", target="/scans"),),
        network=Network.BRIDGE,
    )
    status = Status(
        state=PartyRunState.FAILED,
        reason=Reason.EXIT_NONZERO,
        message="Exit code 7.",
        exit_code=7,
        gpu_ids=("0", "1"),
        image_digest="sha256:1",
        observed_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )
    unit = Unit(
        spec=spec,
        desired=Desired.STOPPED,
        cause=Reason.STOPPED_BY_USER,
        status=status,
        stop_stage=StopStage.ENDED,
        removed=True,
        abandoned=True,
        sequence=9,
        acked=8,
    )
    journal = opened()
    await journal.save(unit)
    journal.close()
    (loaded,) = opened().load()
    assert loaded == unit
    assert (loaded.acked, loaded.spec.resources.gpus.device_ids) == (8, ("0", "1"))
    assert loaded.status.observed_at.tzinfo is not None


async def test_the_newest_write_counts(opened):
    journal = opened()
    unit = make_unit()
    for sequence in range(20):
        await journal.save(replace(unit, sequence=sequence))
    journal.close()
    (loaded,) = opened().load()
    assert loaded.sequence == 19


async def test_units_come_back_in_the_order_of_starts(opened):
    journal = opened()
    for order in (3, 1, 2):
        await journal.save(make_unit(f"run{order}", order=order))
    assert [unit.party_run_id for unit in journal.load()] == ["run1", "run2", "run3"]


async def test_a_forgotten_unit_leaves_its_id(opened):
    journal = opened()
    await journal.save(make_unit())
    await journal.forget(make_unit(), NOW)
    journal.close()
    journal = opened()
    assert journal.load() == []
    assert journal.load_ended() == ["run1"]


async def test_only_the_newest_ended_ids_are_kept(opened):
    journal = opened()
    for number in range(4):
        await journal.forget(make_unit(f"run{number}"), NOW)
    assert journal.load_ended(most=2) == ["run2", "run3"]


async def test_a_failed_count_of_calls_is_not_remembered(opened):
    journal = opened()
    await journal.save(replace(make_unit(), failures=3))
    assert journal.load()[0].failures == 0


def test_the_instance_id_is_kept(opened):
    first = opened()
    instance_id = first.instance_id
    first.close()
    assert opened().instance_id == instance_id


def test_two_journals_never_share_a_directory(opened):
    opened()
    with pytest.raises(StateDirInUse, match="another agent"):
        opened()


def test_a_failed_second_open_does_not_free_the_directory(opened):
    opened()
    for _ in range(2):
        with pytest.raises(StateDirInUse):
            opened()


def test_a_closed_journal_may_be_closed_again(opened):
    journal = opened()
    journal.close()
    journal.close()


def test_what_is_no_directory_is_refused(tmp_path, opened):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirUnusable, match="can't be used"):
        opened(tmp_path / "file" / "state")


def test_a_newer_agent_s_journal_is_refused(tmp_path, opened):
    opened().close()
    database = sqlite3.connect(tmp_path / "state" / "journal.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StateDirUnusable, match="newer agent"):
        opened()
    # The refusal let the directory go.
    with pytest.raises(StateDirUnusable, match="newer agent"):
        opened()


async def test_a_thousand_can_live_in_memory():
    journals = [Journal(None) for _ in range(1_000)]
    for journal in journals:
        await journal.save(make_unit())
    assert len({journal.instance_id for journal in journals}) == 1_000
    for journal in journals:
        journal.close()


async def test_a_cancelled_write_lands_all_the_same(opened):
    journal = opened()
    saving = asyncio.create_task(journal.save(make_unit()))
    await asyncio.sleep(0)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    journal.close()
    assert len(opened().load()) == 1


WRITER = """
import asyncio, sys
from pathlib import Path
from dataclasses import replace
from datetime import UTC, datetime, timedelta
sys.path.insert(0, sys.argv[2])
from tests.agent.fakes import make_assignment
from party_agent import journal_file
from party_agent.journal import Journal
from party_agent.unit import new_unit

async def main():
    journal = Journal(Path(sys.argv[1]))
    unit = new_unit(make_assignment(), datetime.now(UTC))
    sequence = 0
    while True:
        sequence += 1
        await journal.save(replace(unit, sequence=sequence))
        print(sequence, flush=True)

asyncio.run(main())
"""


def test_what_was_saved_survives_a_kill_and_the_directory_is_free_again(tmp_path, opened):
    root = Path(party_agent.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "sdk"), str(root)])}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "state"), str(root)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with writer:
        said = 0
        while said < 50:
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    (unit,) = opened().load()
    assert unit.sequence >= said


async def test_a_journal_of_the_first_version_is_taken_over(tmp_path, opened):
    (tmp_path / "state").mkdir()
    database = sqlite3.connect(tmp_path / "state" / "journal.sqlite3")
    database.executescript(journal_file._MIGRATIONS[0])
    database.executescript(
        "INSERT INTO ended (party_run_id) VALUES ('run1'), ('run1'), ('run2');"
        "PRAGMA user_version = 1;"
    )
    database.close()
    journal = opened()
    assert journal.load_ended() == ["run1", "run1", "run2"]
    assert journal.last_contact() is None
    outputs = await journal.outputs()
    assert sorted(name for name, _ in outputs) == ["run1", "run2"]
    # Their age counts from now: nobody noted when they ended.
    assert all(datetime.now(UTC) - ended_at < timedelta(minutes=5) for _, ended_at in outputs)


async def test_a_unit_is_forgotten_whole_or_not_at_all(opened):
    journal = opened()
    await journal.save(make_unit())
    with pytest.raises(sqlite3.Error):
        await journal._write(
            ("DELETE FROM units WHERE party_run_id = ?", ("run1",)),
            ("INSERT INTO nothing VALUES (?)", ("run1",)),
        )
    assert len(journal.load()) == 1
    await journal.forget(make_unit(), NOW)
    assert journal.load() == []
