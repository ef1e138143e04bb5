"""`sdk.task`: a template bound to parties, its starts, stops and runs."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from flow_server_sdk import methods, shapes
from flow_server_sdk.calls.paging import page_of
from flow_server_sdk.calls.surface import R, Strings, Surface
from flow_server_sdk.measuring import metrics
from flow_server_sdk.outputs import Asked, Listener, asked, download, outputs
from flow_server_sdk.payloads import forms
from flow_server_sdk.payloads.tasks import start_parameters, task_spec
from flow_server_sdk.reading import log_request, read_lines
from flow_server_sdk.scripts import Call, Items, Link, Script
from flow_server_sdk.waiting import wait
from flow_server_sdk.watching import watch_task
from flow_wire import runs_pb2, tasks_pb2
from flow_wire.codec.runs import decode_run
from flow_wire.codec.tasks import decode_task, encode_start, encode_task_spec

L = TypeVar("L")
E = TypeVar("E")

PartyDicts = list[dict[str, str]]


class TaskCalls(Surface[R], Generic[R, L, E]):
    """Create, update, get, list and delete tasks; start, stop and wait for them; runs and logs."""

    def __init__(
        self, run: Callable[[Script], R], link: Link, iterate: Callable[[Items], Any]
    ) -> None:
        super().__init__(run, link)
        self._iterate = iterate

    def logs(
        self,
        task_id: str,
        *,
        party: str | Sequence[str] | None = None,
        follow: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        run_id: str = "",
    ) -> L:
        """Iterate over the lines that the workloads wrote, in the order of time over all parties.

        Each is a LogLine: party, stream, at, text, raw. `party` leaves one's or some parties'
        only, `since` what came from then on (aware), `tail` the last lines of each party.
        `run_id` "" means the newest run. With `follow` lines come as they are written, until the
        run is over; a lost connection is taken up again without a hole or a repeat.

        Raises:
            InvalidArgument: here; while iterating NotFound (no such task, run or party), Conflict
                (it was never started), and what any call raises.
        """
        request = log_request(
            task_id, party=party, run_id=run_id, follow=follow, since=since, tail=tail
        )
        lines: L = self._iterate(read_lines(request, self._link))
        return lines

    def watch(self, task_id: str, *, run_id: str = "") -> E:
        """Iterate over the events of a run, from its first on, until it has ended.

        Each is an Event as in `sdk.event.watch`: of the run and of its parties' shares. `run_id`
        "" means the newest run. A run that failed and is retried has not ended: its retry's
        events follow. The task's deletion ends it too. A lost connection is taken up again.

        Raises:
            NotFound, Conflict (never started), and what any call raises, while iterating.
        """
        events: E = self._iterate(watch_task(task_id, run_id, self._link))
        return events

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
        Who gives a `request_id` is told that run: data.run_id. Without one the answer is the
        documented one, which has no data.
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
                data=lambda reply: {"run_id": reply.run_id} if request_id else None,
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

    def metrics(
        self,
        task_id: str,
        *,
        party: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        after: str | None = None,
    ) -> R:
        """Return data.points of what the workloads measured, party by party, as reported.

        Each is {"party", "name", "step", "value", "time"}; `time` is seconds since 1970 by the
        site's clock. None means all parties, all names, the newest run. `after` "2.150" leaves
        out what comes before the party of rank 2 and that party's first 150 points. data.dropped
        says per party how many points never came.
        """
        return self._run(metrics(task_id, run_id, party, name, after, self._link))

    def outputs(
        self,
        task_id: str,
        *,
        run_id: str | None = None,
        party: str | Sequence[str] | None = None,
        parties_only: bool = False,
    ) -> R:
        """Return data.files that can be downloaded, and data.parties, how far each one is.

        Of a party `complete` says that nothing follows, `coming` what is on its way, `withheld`
        which rule of its site kept something back, `skipped` what else did not leave, and why.
        `parties_only` leaves data.files empty, for who asks often.
        """
        return self._run(outputs(task_id, run_id, party, parties_only, self._link))

    def download(
        self,
        task_id: str,
        to: str | Path,
        *,
        party: str | Sequence[str] | None = None,
        name: str | Sequence[str] | None = None,
        run_id: str | None = None,
        overwrite: bool = False,
        on_progress: Listener | None = None,
    ) -> R:
        """Bring files down to `<to>/<party>/<name>`; data.files says where each lies (`path`).

        Each is there whole, with the right SHA-256, or not at all; the next call takes a cut one
        up. Another file in its place stays unless `overwrite`, and nothing is written outside of
        `to`. `on_progress` hears of each file with its `downloaded_bytes`.

        Raises:
            OSError: this machine's disk refuses.
        """

        def what() -> Asked:
            return asked(task_id, run_id=run_id, party=party, name=name)

        return self._run(download(what, to, overwrite, on_progress, self._link))

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
