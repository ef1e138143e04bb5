"""Golden dictionaries of the original's documentation, keys in their documented order."""

import json
import locale
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from flow_contract.lifecycle import PartyRunState, RunStatus
from flow_contract.reasons import Reason
from flow_contract.templates import (
    GpuRequest,
    Mount,
    Network,
    OnDisconnect,
    Resources,
    RetryPolicy,
)
from flow_server_sdk import shapes
from flow_server_sdk.dates import rfc822
from tests.sdk import examples


def test_a_template_looks_as_documented():
    assert json.dumps(shapes.template(examples.TEMPLATE)) == json.dumps(examples.TEMPLATE_DICT)


def test_a_template_without_hyper_parameter_and_one_with_none_differ():
    left_out = replace(examples.TEMPLATE.spec, hyper_parameter=None)
    empty = replace(examples.TEMPLATE.spec, hyper_parameter=())
    shown = [
        shapes.template(replace(examples.TEMPLATE, spec=spec))["hyper_parameter"]
        for spec in (left_out, empty)
    ]
    assert shown == [None, []]


def test_what_a_template_has_beyond_the_original_stands_after_it():
    spec = replace(
        examples.TEMPLATE.spec,
        resources=Resources(cpus=1.5, gpus=GpuRequest(device_ids=("0", "3"))),
        env={"LR": "0.1"},
        mounts=(Mount(data_name="scans", target="/scans"),),
        user="1000",
        network=Network.BRIDGE,
        stop_grace_s=3,
        run_timeout_s=36_000,
        on_disconnect=OnDisconnect(stop_after_s=600),
        retry=RetryPolicy(max_retries=3),
    )
    shown = shapes.template(replace(examples.TEMPLATE, spec=spec))
    assert list(shown)[: len(examples.TEMPLATE_DICT)] == list(examples.TEMPLATE_DICT)
    assert {key: shown[key] for key in shown if key not in examples.TEMPLATE_DICT} == {
        "resources": {"cpus": 1.5, "gpus": {"device_ids": ["0", "3"]}},
        "env": {"LR": "0.1"},
        "mounts": [{"data_name": "scans", "target": "/scans"}],
        "user": "1000",
        "network": "bridge",
        "stop_grace_s": 3,
        "run_timeout_s": 36_000,
        "on_disconnect": {"stop_after_s": 600},
        "retry": {"max_retries": 3, "backoff_s": 10, "on_nonzero_exit": False},
    }


def test_gpus_are_shown_as_they_are_asked_for():
    gpus = GpuRequest(count=2, capabilities=("gpu", "utility"))
    spec = replace(examples.TEMPLATE.spec, resources=Resources(gpus=gpus))
    assert shapes.template(replace(examples.TEMPLATE, spec=spec))["resources"] == {
        "gpus": {"count": 2, "capabilities": ["gpu", "utility"]}
    }


def test_a_task_that_never_ran_looks_as_documented():
    assert json.dumps(shapes.task(examples.task())) == json.dumps(examples.TASK_DICT)


def test_a_started_task_shows_each_party_by_rank():
    started_at = datetime(2026, 11, 21, 6, 47, 51, tzinfo=UTC)
    shown = shapes.task(
        examples.task(
            RunStatus.RUNNING,
            examples.party_run(gpu_ids=("0",), started_at=started_at, image_digest="sha256:1"),
            examples.party_run(
                PartyRunState.PENDING,
                federated_id="federate-2",
                reason=Reason.WAITING_FOR_GPU,
                message="Waiting for GPUs that other runs hold.",
            ),
        )
    )
    assert shown["status"] == "Running"
    assert shown["party_status"] == [
        {
            "name": "federate-1",
            "ready": True,
            "complete": False,
            "current_epoch": None,
            "total_epoch": None,
            "federated_id": "federate-1",
            "party_run_id": "c" * 32,
            "state": "running",
            "desired": "running",
            "reason": "none",
            "message": "",
            "exit_code": None,
            "gpu_ids": ["0"],
            "image_digest": "sha256:1",
            "started_at": "Sat, 21 Nov 2026 06:47:51 -0000",
            "finished_at": None,
            "note": "",
            "role": "party",
            "traffic": [],
        },
        {
            "name": "federate-2",
            "ready": False,
            "complete": False,
            "current_epoch": 0,
            "total_epoch": None,
            "federated_id": "federate-2",
            "party_run_id": "c" * 32,
            "state": "pending",
            "desired": "running",
            "reason": "waiting_for_gpu",
            "message": "Waiting for GPUs that other runs hold.",
            "exit_code": None,
            "gpu_ids": [],
            "image_digest": "",
            "started_at": None,
            "finished_at": None,
            "note": "",
            "role": "party",
            "traffic": [],
        },
    ]


def test_the_epochs_are_those_that_the_workload_reports():
    said = {"current_epoch": 3, "total_epoch": 5, "note": "warming up"}
    shown = shapes.task(examples.task(RunStatus.RUNNING, examples.party_run(**said)))
    (party,) = shown["party_status"]
    assert {name: party[name] for name in said} == said


def test_a_workload_that_says_no_total_has_the_runs():
    run = replace(examples.run(), party_runs=(examples.party_run(current_epoch=0),))
    (party,) = shapes.run(run)["party_status"]
    assert (party["current_epoch"], party["total_epoch"]) == (0, run.snapshot.epochs)


def test_only_a_party_that_succeeded_is_complete():
    shown = {
        state: shapes.task(examples.task(RunStatus.UNKNOWN, examples.party_run(state)))
        for state in PartyRunState
    }
    complete = [state for state in shown if shown[state]["party_status"][0]["complete"]]
    assert complete == [PartyRunState.SUCCEEDED]


def test_a_run_shows_its_snapshot_and_its_epochs():
    shown = shapes.run(examples.run())
    assert shown["template"] == {
        key: examples.TEMPLATE_DICT[key] for key in list(examples.TEMPLATE_DICT)[:6]
    }
    assert (shown["status"], shown["epochs"], shown["number"]) == ("Succeeded", 4, 1)
    assert shown["party_status"][0]["total_epoch"] == 4
    assert shown["end_time"] == "Sat, 21 Nov 2026 06:48:01 -0000"
    assert (shown["retry_of"], shown["retry_at"]) == (None, None)


def test_a_run_says_what_it_repeats_and_when_it_is_repeated():
    retry_at = datetime(2026, 11, 21, 6, 48, 11, tzinfo=UTC)
    shown = shapes.run(replace(examples.run(), retry_of="f" * 32, retry_at=retry_at))
    assert shown["retry_of"] == "f" * 32
    assert shown["retry_at"] == "Sat, 21 Nov 2026 06:48:11 -0000"


def test_a_party_shows_what_its_agent_has():
    assert shapes.party(examples.PARTY) == {
        "federated_id": "federate-1",
        "name": "North hospital",
        "connected": True,
        "draining": False,
        "runtime": "docker",
        "agent_version": "0.1.0",
        "cpus": 2.0,
        "memory_bytes": 4 * 1024**3,
        "gpu_ids": ["0", "1"],
        "data_names": ["scans"],
        "first_seen": "Sat, 21 Nov 2026 06:47:51 -0000",
        "last_seen": "Sat, 21 Nov 2026 06:48:01 -0000",
        "coordinates": False,
        "direct_address": "",
    }


def test_dates_are_utc_in_whole_seconds_with_two_digits():
    local = datetime(2026, 3, 1, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=8)))
    assert rfc822(local) == "Sat, 28 Feb 2026 17:02:03 -0000"
    assert rfc822(datetime(2026, 3, 1, tzinfo=UTC)) == "Sun, 01 Mar 2026 00:00:00 -0000"


def test_dates_are_english_whatever_the_locale():
    # A locale that writes the names of days in its own way, wherever one is installed.
    moment = datetime(2026, 11, 21, 6, 47, 51, tzinfo=UTC)
    before = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "zh_CN.UTF-8", "fr_FR.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue
        try:
            assert rfc822(moment) == "Sat, 21 Nov 2026 06:47:51 -0000"
        finally:
            locale.setlocale(locale.LC_TIME, before)


def test_a_call_without_a_result_has_no_data_key():
    assert shapes.success() == {"ret_code": 0, "ret_msg": "success"}
    assert shapes.success({}) == {"ret_code": 0, "ret_msg": "success", "data": {}}


@pytest.mark.parametrize("state", [PartyRunState.FAILED, PartyRunState.STOPPED])
def test_a_party_that_ran_stays_ready_after_its_end(state):
    started_at = datetime(2026, 11, 21, tzinfo=UTC)
    for ran in (True, False):
        item = examples.party_run(state, started_at=started_at if ran else None)
        shown = shapes.task(examples.task(RunStatus.FAILED, item))
        assert shown["party_status"][0]["ready"] is ran
