"""What a site's rules let out of what a workload reports, from the workload to the user."""

import sys

import pytest

from tests.e2e.log_stage import started

_REPORT = (
    f"exec {sys.executable} -c '"
    'import flow_worker; flow_worker.metric("loss", 0.5); flow_worker.message("a sentence");'
    ' flow_worker.progress(3, 4); print("a line"); assert flow_worker.flush(30)'
    "'"
)


@pytest.mark.parametrize(
    ("rules", "lines", "values", "note"),
    [
        ("logs = true\nmetrics = true", ["a line"], [0.5], "a sentence"),
        ("logs = true", ["a line"], [], "a sentence"),
        ("metrics = true", [], [0.5], ""),
        ("", [], [], ""),
    ],
)
async def test_only_what_may_leave_is_seen(stage, tmp_path, rules, *, lines, values, note):
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[leave]\n{rules}\n")
    site = stage.site(policy=policy)
    await site.start()
    task_id = await started(stage, _REPORT)
    done = (await stage.sdk.task.wait(task_id, timeout_s=60))["data"]
    assert done["status"] == "Succeeded"
    said = [line.text async for line in stage.sdk.task.logs(task_id, follow=True)]
    assert said == lines
    # What has been told by then is all that ever is: the log says that its site is done.
    (party,) = (await stage.sdk.task.get(task_id))["data"]["party_status"]
    assert (party["current_epoch"], party["total_epoch"]) == (3, 4)
    assert party["note"] == note
    told = await _until_told(stage, task_id)
    assert [point["value"] for point in told["points"]] == values
    assert told["withheld"] == ({} if values else {party["federated_id"]: "leave.metrics"})


async def _until_told(stage, task_id):
    while True:
        data = (await stage.sdk.task.metrics(task_id))["data"]
        if data["points"] or data["withheld"]:
            return data
