"""What must never happen is refused by the schema, whoever asks: one sentence per rule."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from flow_contract.lifecycle import PartyRunState, RunStatus, is_final, is_final_status
from flow_server.storage.tables import (
    compatibility,
    events,
    parties,
    party_runs,
    runs,
    tasks,
    templates,
)
from tests.storage.never import Never, insert_valid, refuse

T = datetime(2026, 1, 1, tzinfo=UTC)

_TEMPLATE = {"template_id": "tpl", "name": "Digits", "name_key": "digits", "spec": {}}
_TASK = {
    "task_id": "task",
    "name": "Train",
    "name_key": "train",
    "template_id": "tpl",
    "federate_data": [],
}
_RUN = {
    "run_id": "run",
    "task_id": "task",
    "number": 1,
    "request_id": "ask-1",
    "snapshot": {},
    "status": "Started",
    "desired": "prepared",
    "connect_deadline_at": T,
    "prepare_deadline_at": T,
}
_PARTY_RUN = {
    "party_run_id": "share",
    "run_id": "run",
    "federated_id": "north",
    "rank": 0,
    "federated_data": "digits",
    "desired": "prepared",
    "state": "pending",
}
_EVENT = {"run_id": "run", "side": "state", "from_value": None, "to_value": "pending"}
_PARTY = {
    "federated_id": "north",
    "name": "North",
    "instance_id": "one",
    "epoch": 1,
    "owner_id": "replica",
    "lease_expires_at": T,
    "inventory": {},
}
ROWS = {
    templates: _TEMPLATE,
    tasks: _TASK,
    runs: _RUN,
    party_runs: _PARTY_RUN,
    events: _EVENT,
    parties: _PARTY,
}

_REPEAT = {"retry_of": "run-0", "retry_number": 1}
_ENDED = {"status": "Failed", "ended_at": T}
_FAILED = {"state": "failed", "finished_at": T, "reason": "exit_nonzero", "exit_code": 7}
_OTHER_RUN = {"run_id": "run-2", "number": 2, "request_id": "ask-2", "start_order": 1000}
_OTHER_SHARE = {"party_run_id": "share-2", "federated_id": "south", "rank": 1}


NEVER = [
    Never(
        sentence="a second word on which code still fits",
        rule="ck_compatibility_only_row",
        table=compatibility,
        change={"only_row": False, "oldest_code": "0002"},
        adds=True,
    ),
    Never(
        sentence="two templates of one name",
        rule="uq_templates_name_key",
        table=templates,
        change={"template_id": "tpl-2"},
        adds=True,
    ),
    Never(
        sentence="two tasks of one name",
        rule="uq_tasks_name_key",
        table=tasks,
        change={"task_id": "task-2"},
        adds=True,
    ),
    Never(
        sentence="fewer than no runs",
        rule="ck_tasks_run_count",
        table=tasks,
        change={"run_count": -1},
    ),
    Never(
        sentence="a run of no task",
        rule="fk_runs_task_id",
        table=runs,
        change=_OTHER_RUN | {"task_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="a run status that users don't know",
        rule="ck_runs_status",
        table=runs,
        change={"status": "started"},
    ),
    Never(
        sentence="a run wanted in a way that nobody wants",
        rule="ck_runs_desired",
        table=runs,
        change={"desired": "paused"},
    ),
    Never(
        sentence="a run wanted running that was never launched",
        rule="ck_runs_launch",
        table=runs,
        change={"desired": "running"},
    ),
    Never(
        sentence="a second active run of a task",
        rule="uq_runs_active_task_id",
        table=runs,
        change=_OTHER_RUN,
        adds=True,
    ),
    Never(
        sentence="two runs of a task with one number",
        rule="uq_runs_task_id_number",
        table=runs,
        first=_ENDED,
        change=_OTHER_RUN | {"number": 1},
        adds=True,
    ),
    Never(
        sentence="a start request that makes two runs",
        rule="uq_runs_task_id_request_id",
        table=runs,
        first=_ENDED,
        change=_OTHER_RUN | {"request_id": "ask-1"},
        adds=True,
    ),
    Never(
        sentence="a run that is repeated twice",
        rule="uq_runs_retry_of",
        table=runs,
        first=_ENDED | _REPEAT,
        change=_OTHER_RUN | _REPEAT,
        adds=True,
    ),
    Never(
        sentence="a repetition that does not count",
        rule="ck_runs_retry_number",
        table=runs,
        change={"retry_of": "run-0"},
    ),
    Never(
        sentence="a repetition of what has not failed",
        rule="ck_runs_retry",
        table=runs,
        change={"retry_at": datetime.now(UTC)},
    ),
    Never(
        sentence="two runs at one place of the queue",
        rule="uq_runs_start_order",
        table=runs,
        first=_ENDED | {"start_order": 1000},
        change=_OTHER_RUN,
        adds=True,
    ),
    Never(
        sentence="a share of no run",
        rule="fk_party_runs_run_id",
        table=party_runs,
        change=_OTHER_SHARE | {"run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="a party run state that is not in the table of moves",
        rule="ck_party_runs_state",
        table=party_runs,
        change={"state": "sleeping"},
    ),
    Never(
        sentence="a party run wanted in a way that nobody wants",
        rule="ck_party_runs_desired",
        table=party_runs,
        change={"desired": "removed"},
    ),
    Never(
        sentence="a final party run without a reason",
        rule="ck_party_runs_final_reason",
        table=party_runs,
        change=_FAILED | {"reason": "none"},
    ),
    Never(
        sentence="an exit code of what has not ended",
        rule="ck_party_runs_exit_code",
        table=party_runs,
        change={"state": "running", "exit_code": 0},
    ),
    Never(
        sentence="a success with exit code 1",
        rule="ck_party_runs_succeeded",
        table=party_runs,
        change=_FAILED | {"state": "succeeded", "exit_code": 1},
    ),
    Never(
        sentence="fewer than no epochs",
        rule="ck_party_runs_epochs",
        table=party_runs,
        change={"current_epoch": -1},
    ),
    Never(
        sentence="a success without an exit code",
        rule="ck_party_runs_succeeded",
        table=party_runs,
        change=_FAILED | {"state": "succeeded", "exit_code": None},
    ),
    Never(
        sentence="a party twice in a run",
        rule="uq_party_runs_run_id_federated_id_role",
        table=party_runs,
        change=_OTHER_SHARE | {"federated_id": "north"},
        adds=True,
    ),
    Never(
        sentence="two coordinators of a run",
        rule="uq_party_runs_coordinator_run_id",
        table=party_runs,
        first={"role": "coordinator"},
        change=_OTHER_SHARE | {"role": "coordinator"},
        adds=True,
    ),
    Never(
        sentence="a party run that is neither a party's nor the coordinator",
        rule="ck_party_runs_role",
        table=party_runs,
        change={"role": "spectator"},
    ),
    Never(
        sentence="a party that says how far others are",
        rule="ck_party_runs_peer_progress",
        table=party_runs,
        change={"peer_progress": [{"federated_id": "south"}]},
    ),
    Never(
        sentence="a run whose members depend on one another in a way that nobody knows",
        rule="ck_runs_coordination",
        table=runs,
        change={"coordination": "ring"},
    ),
    Never(
        sentence="two parties of a run with one rank",
        rule="uq_party_runs_run_id_rank",
        table=party_runs,
        change=_OTHER_SHARE | {"rank": 0},
        adds=True,
    ),
    Never(
        sentence="an event of no run",
        rule="fk_events_run_id",
        table=events,
        change={"run_id": "gone"},
        adds=True,
    ),
    Never(
        sentence="an event of a side that does not exist",
        rule="ck_events_side",
        table=events,
        change={"side": "mood"},
        adds=True,
    ),
    Never(
        sentence="an event that is no move",
        rule="ck_events_moves",
        table=events,
        change={"from_value": "pending"},
        adds=True,
    ),
    *(
        Never(
            sentence=f"an end of a run that is {status.value}",
            rule="ck_runs_ended",
            table=runs,
            change={"status": status.value, "ended_at": T},
        )
        for status in RunStatus
        if not is_final_status(status)
    ),
    *(
        Never(
            sentence=f"a run that is {status.value} without an end",
            rule="ck_runs_ended",
            table=runs,
            change={"status": status.value},
        )
        for status in RunStatus
        if is_final_status(status)
    ),
    *(
        Never(
            sentence=f"an end of a party run that is {state.value}",
            rule="ck_party_runs_finished",
            table=party_runs,
            change={"state": state.value, "finished_at": T},
        )
        for state in PartyRunState
        if not is_final(state)
    ),
    *(
        Never(
            sentence=f"a party run that is {state.value} without an end",
            rule="ck_party_runs_finished",
            table=party_runs,
            change={"state": state.value, "reason": "exit_nonzero"},
        )
        for state in PartyRunState
        # Without an end it has no exit code, so for this one another rule may speak first.
        if is_final(state) and state is not PartyRunState.SUCCEEDED
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)


async def test_a_task_may_run_again_once_its_run_has_ended(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        await connection.execute(update(runs).values(_ENDED))
        await connection.execute(insert(runs).values(_RUN | _OTHER_RUN))


async def test_a_party_may_hold_the_coordinator_beside_its_own_share(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        beside = _PARTY_RUN | {"party_run_id": "share-2", "rank": 1, "role": "coordinator"}
        await connection.execute(insert(party_runs).values(beside))


async def test_starts_without_a_request_id_are_never_repeats(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        await connection.execute(update(runs).values(_ENDED | {"request_id": None}))
        await connection.execute(insert(runs).values(_RUN | _OTHER_RUN | {"request_id": None}))


async def test_every_final_state_can_be_stored(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        for state in PartyRunState:
            if is_final(state):
                exit_code = 0 if state is PartyRunState.SUCCEEDED else None
                change = _FAILED | {"state": state.value, "exit_code": exit_code}
                await connection.execute(update(party_runs).values(change))


async def test_later_runs_stand_behind_earlier_ones_in_the_queue(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        await connection.execute(update(runs).values(_ENDED))
        second = {key: value for key, value in _OTHER_RUN.items() if key != "start_order"}
        await connection.execute(insert(runs).values(_RUN | second))
        queue = await connection.execute(select(runs.c.run_id).order_by(runs.c.start_order))
        assert queue.scalars().all() == ["run", "run-2"]


async def test_what_belongs_to_a_task_goes_with_it(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        await connection.execute(tasks.delete())
        for table in (runs, party_runs, events):
            assert (await connection.execute(select(table))).all() == []
        assert len((await connection.execute(select(templates))).all()) == 1
