"""`sdk.task`: a template bound to parties, its starts, stops and runs."""

import uuid
from collections.abc import Callable
from typing import Any

from flow_server_sdk import methods, shapes
from flow_server_sdk.calls.inside import E, InsideCalls, L
from flow_server_sdk.calls.paging import page_of
from flow_server_sdk.calls.surface import R, Strings
from flow_server_sdk.payloads import forms
from flow_server_sdk.payloads.tasks import start_parameters, task_spec
from flow_server_sdk.scripts import Call
from flow_server_sdk.waiting import wait
from flow_wire import runs_pb2, tasks_pb2
from flow_wire.codec.runs import decode_run
from flow_wire.codec.tasks import decode_task, encode_start, encode_task_spec

PartyDicts = list[dict[str, str]]


class TaskCalls(InsideCalls[R, L, E]):
    """Create, update, get, list and delete tasks; start, stop and wait for them; their runs."""

    def create(
        self, name: str, template_id: str, remark: str | None, federate_data: PartyDicts
    ) -> R:
        """Store a task; data.task_id is its id, 32 hex digits.

        `federate_data` is [{"federated_id": party, "federated_data": name of its data}].
        Whether template and parties exist is asked at start.
        """
        return self._send(
            Call(
                method=methods.CREATE_TASK,
                request=lambda: tasks_pb2.CreateTaskRequest(
                    spec=encode_task_spec(
                        task_spec(
                            name=name,
                            template_id=template_id,
                            remark=remark,
                            federate_data=federate_data,
                        )
                    )
                ),
                data=lambda reply: {"task_id": reply.task_id},
            )
        )

    def update(
        self,
        task_id: str,
        name: str,
        template_id: str,
        remark: str | None,
        federate_data: PartyDicts,
    ) -> R:
        """Replace a task whole; the runs there are keep their snapshot."""
        return self._send(
            Call(
                method=methods.UPDATE_TASK,
                request=lambda: tasks_pb2.UpdateTaskRequest(
                    task_id=forms.text("task_id", task_id),
                    spec=encode_task_spec(
                        task_spec(
                            name=name,
                            template_id=template_id,
                            remark=remark,
                            federate_data=federate_data,
                        )
                    ),
                ),
            )
        )

    def get(self, task_id: str) -> R:
        """Return one task as `data`, with the status of its latest run."""
        return self._send(
            Call(
                method=methods.GET_TASK,
                request=lambda: tasks_pb2.GetTaskRequest(task_id=forms.text("task_id", task_id)),
                data=lambda reply: shapes.task(decode_task(reply.task)),
            )
        )

    def list(self, page: int, limit: int, *, federated_id: str = "") -> R:
        """Return data.tasks, oldest first, and data.task_count of all pages.

        `federated_id` leaves only the tasks that name this party.
        """
        return self._send(
            Call(
                method=methods.LIST_TASKS,
                request=lambda: tasks_pb2.ListTasksRequest(
                    federated_id=forms.text("federated_id", federated_id), **page_of(page, limit)
                ),
                data=lambda reply: {
                    "task_count": reply.task_count,
                    "tasks": [shapes.task(decode_task(task)) for task in reply.tasks],
                },
            )
        )

    def delete(self, task_id: str) -> R:
        """Forget a task and its runs; an active one must be stopped first."""
        return self._send(
            Call(
                method=methods.DELETE_TASK,
                request=lambda: tasks_pb2.DeleteTaskRequest(task_id=forms.text("task_id", task_id)),
            )
        )

    def start(
        self,
        task_id: str,
        *,
        epochs: int | None = None,
        hyper_parameter: Strings | None = None,
        enable_smpc: bool = False,
        request_id: str | None = None,
    ) -> R:
        """Start a new run: all parties, or none.

        `epochs` None means 10, `hyper_parameter` None means the template's. A repeated call
        with the same `request_id` is answered with the run that the first one made; None
        means a new one, under which this call is repeated by itself when its answer is lost.
        """
        return self._send(
            Call(
                method=methods.START_TASK,
                request=lambda: encode_start(
                    forms.text("task_id", task_id),
                    start_parameters(
                        epochs=epochs, hyper_parameter=hyper_parameter, enable_smpc=enable_smpc
                    ),
                    _request_id(request_id),
                ),
            )
        )

    def stop(self, task_id: str, *, force: bool = False, request_id: str | None = None) -> R:
        """Ask every party to stop, and return before they have; `request_id` as in `start`.

        A retry that is due is called off. A party that is lost keeps the run from ending until
        it is back: data.lost_parties and ret_msg name such parties. With `force` the run does
        not wait for those that are lost now: they are given up, and what still runs there is
        stopped when the site is back.
        """
        return self._send(
            Call(
                method=methods.STOP_TASK,
                request=lambda: tasks_pb2.StopTaskRequest(
                    task_id=forms.text("task_id", task_id),
                    request_id=_request_id(request_id),
                    force=forms.boolean("force", force),
                ),
                data=lambda reply: (
                    {"lost_parties": list(reply.lost_parties)} if reply.lost_parties else None
                ),
                note=lambda reply: shapes.not_reached(reply.lost_parties),
            )
        )

    def wait(
        self,
        task_id: str,
        *,
        timeout_s: float | None = None,
        on_change: Callable[[dict[str, Any]], object] | None = None,
    ) -> R:
        """Wait for the latest run to end; data is the task with `run_id` and `run_message`.

        A run that failed and is retried has not ended: the wait goes on with the retry.
        `on_change` is called with the same shape at once and after every change; with
        AsyncFlowServerSdk it may return an awaitable, which is awaited. A lost connection is
        taken up again until `timeout_s` is over, for ever if that is None.

        Raises:
            TimeoutError: the run has not ended after `timeout_s`. It goes on.
        """
        return self._run(wait(task_id, timeout_s, on_change, self._link))

    def runs(self, task_id: str, page: int = 1, limit: int = 10) -> R:
        """Return data.runs, every start of the task, newest first, and data.run_count.

        `retry_of` names the run that one repeats, `retry_at` says when it is to be repeated.
        """
        return self._send(
            Call(
                method=methods.LIST_RUNS,
                request=lambda: runs_pb2.ListRunsRequest(
                    task_id=forms.text("task_id", task_id), **page_of(page, limit)
                ),
                data=lambda reply: {
                    "runs": [shapes.run(decode_run(run)) for run in reply.runs],
                    "run_count": reply.run_count,
                },
            )
        )


def _request_id(given: object) -> str:
    return (given is not None and forms.text("request_id", given)) or uuid.uuid4().hex
