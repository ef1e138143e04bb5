"""Clients come and go while they wait; the server is none the worse for it."""

from tests.e2e.processes.federation import PARTIES


class _Gone(Exception):
    """The client's own, at the first thing it hears."""


def _leave(data):
    raise _Gone


def test_waits_that_their_clients_leave_do_not_hurt_the_server(process_flow):
    flow = process_flow
    gate = flow.gate()
    task_id = flow.shell(gate.script, parties=PARTIES[:1])
    flow.start(task_id)
    pid = flow.server.pid

    for _ in range(200):
        try:
            flow.sdk.task.wait(task_id, timeout_s=60, on_change=_leave)
        except _Gone:
            continue

    gate.open()
    assert flow.wait(task_id)["status"] == "Succeeded"
    assert flow.server.is_running, flow.server.log
    assert flow.server.pid == pid
