"""What a user does from the first template to the last delete, with whatever SDK is imported.

    python flow_of_a_user.py HOST PORT PARTY

Run by test_old_code.py on released code; prints what came of it as JSON.
"""

import json
import sys

import flow_server_sdk
from flow_server_sdk import FlowServerSdk

_ENDLESS = ["sh", "-c", "while :; do sleep 0.05; done"]


class _Running(Exception):
    pass


def _look(data):
    if data["status"] == "Running":
        raise _Running


def _good(answer):
    assert answer["ret_code"] == 0, answer
    return answer.get("data")


def _task(sdk, name, command, party):
    template = _good(
        sdk.template.create(name=name, remark="", image_url="any", workdir="", command=command)
    )
    task = _good(
        sdk.task.create(
            name=name,
            template_id=template["template_id"],
            remark="",
            federate_data=[{"federated_id": party, "federated_data": "scans"}],
        )
    )
    return task["task_id"]


def main(host, port, party):
    sdk = FlowServerSdk(host=host, port=port)
    ends = _task(sdk, "ends by itself", ["true"], party)
    stays = _task(sdk, "has to be stopped", _ENDLESS, party)

    _good(sdk.task.start(ends))
    succeeded = _good(sdk.task.wait(ends, timeout_s=60))

    _good(sdk.task.start(stays))
    try:
        sdk.task.wait(stays, timeout_s=60, on_change=_look)
    except _Running:
        listed = {task["name"]: task["status"] for task in _good(sdk.task.list(1, 10))["tasks"]}
    _good(sdk.task.stop(stays))
    stopped = _good(sdk.task.wait(stays, timeout_s=60))

    runs = _good(sdk.task.runs(ends))["run_count"]
    for task_id in (ends, stays):
        _good(sdk.task.delete(task_id))
    return {
        "sdk": flow_server_sdk.__file__,
        "succeeded": [succeeded["status"], succeeded["party_status"][0]["exit_code"]],
        "listed": listed,
        "stopped": stopped["status"],
        "runs": runs,
        "left": _good(sdk.task.list(1, 10))["task_count"],
    }


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
