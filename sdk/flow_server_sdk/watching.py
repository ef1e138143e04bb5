"""How events are watched: one stream, opened again where it was lost, for as long as asked."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Any

import grpc

from flow_contract.errors import Conflict, InvalidArgument, Kind, NotFound
from flow_contract.events import (
    Event,
    EventFilter,
    EventKind,
    EventRequest,
    Side,
    check_event_request,
)
from flow_contract.lifecycle import RunStatus, is_final_status
from flow_contract.runs import Run
from flow_server_sdk import failures, methods
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import (
    MAX_ATTEMPTS,
    Give,
    Items,
    Link,
    Next,
    Open,
    Pause,
    Step,
    exchange,
    explained,
    read,
)
from flow_wire import runs_pb2, tasks_pb2
from flow_wire.codec.events import decode_event, encode_event_request
from flow_wire.codec.runs import decode_run

# Whether the event is given, and whether the watch is over after it.
Verdict = tuple[bool, bool]
Judge = Callable[[Event], Generator[Step, Any, Verdict]]

_ENDS = {
    (Side.RETRY, "called_off"),
    *((Side.STATUS, status.value) for status in RunStatus if is_final_status(status)),
}
# Repeats of a run lie among its task's newest.
_NEWEST = 50


def event_request(
    *,
    token: object,
    from_beginning: object,
    task: str | Iterable[str] | None,
    run_id: object,
    party: str | Iterable[str] | None,
    kinds: str | Iterable[str] | None,
) -> EventRequest:
    """Return what is asked for.

    Raises:
        InvalidArgument: a value can't be used.
    """
    request = EventRequest(
        token=forms.text("token", token),
        from_beginning=forms.boolean("from_beginning", from_beginning),
        wanted=EventFilter(
            task_ids=frozenset(_names("task", task)),
            run_id=forms.text("run_id", run_id),
            federated_ids=frozenset(_names("party", party)),
            kinds=frozenset(map(_kind, _names("kinds", kinds))),
        ),
    )
    check_event_request(request)
    return request


def watch_events(request: EventRequest, link: Link, judge: Judge | None = None) -> Items:
    """Give events, each once, over all that is lost on the way; for ever where no `judge` is.

    Raises:
        FlowError: they can't be watched, or not from there on.
    """
    attempt = 0
    while True:
        stream = yield Open(
            method=methods.WATCH_EVENTS, request=encode_event_request(request), timeout_s=None
        )
        try:
            while (reply := (yield Next(stream=stream))) is not None:
                attempt = 0
                for event in read(link, _decode, reply):
                    is_given, is_over = (yield from judge(event)) if judge else (True, False)
                    if is_given:
                        yield Give(items=(event,))
                    if is_over:
                        return
                request = replace(request, token=reply.token, from_beginning=False, since_run_id="")
        except grpc.RpcError as error:
            # Who has a place in the order waits for as long as it takes.
            hopeless = not request.token and attempt + 1 >= MAX_ATTEMPTS
            if hopeless or not (failures.is_lost(error) or failures.is_unread(error)):
                raise (yield from explained(error, link)) from error
        finally:
            stream.cancel()
        yield Pause(seconds=link.pause_s(attempt))
        attempt += 1


def watch_task(task_id: object, run_id: object, link: Link) -> Items:
    """Give the events of one run of a task, and of its repeats, from the first to the last.

    Raises:
        NotFound: no such task or run.
        Conflict: the task was never started.
    """
    asked = forms.text("task_id", task_id)
    begins = forms.text("run_id", run_id)
    if not begins:
        reply = yield from exchange(methods.GET_TASK, tasks_pb2.GetTaskRequest(task_id=asked), link)
        begins = reply.task.run_id
        if not begins:
            raise Conflict(
                "the task was never started, so nothing happens; start it first",
                kind=Kind.TASK,
                subject_id=asked,
            )
    request = EventRequest(wanted=EventFilter(task_ids=frozenset({asked})), since_run_id=begins)
    yield from watch_events(request, link, _Chain(asked, begins, link).judge)


class _Chain:
    """A run and its repeats, as they come."""

    def __init__(self, task_id: str, run_id: str, link: Link) -> None:
        self._task_id = task_id
        self._link = link
        self._run_id = run_id
        self._runs = {run_id}
        self._awaits_repeat = False

    def judge(self, event: Event) -> Generator[Step, Any, Verdict]:
        """Say of an event of the task whether it is of the chain, and whether it ends it."""
        if event.kind is EventKind.TASK:
            is_gone = event.to_value == "deleted"
            return is_gone, is_gone
        if self._awaits_repeat and event.run_id not in self._runs:
            yield from self._go_on()
        if event.run_id not in self._runs:
            return False, False
        if event.kind is not EventKind.RUN or event.run_id != self._run_id:
            return True, False
        if event.side == Side.STATUS and event.to_value == RunStatus.FAILED:
            return True, not (yield from self._go_on())
        return True, (event.side, event.to_value) in _ENDS

    def _go_on(self) -> Generator[Step, Any, bool]:
        """Look for the run's repeat; say whether there is one or will be."""
        request = runs_pb2.ListRunsRequest(task_id=self._task_id, page=1, limit=_NEWEST)
        try:
            reply = yield from exchange(methods.LIST_RUNS, request, self._link)
        except NotFound:
            # The task is gone; the event that says so is still to come.
            self._awaits_repeat = True
            return True
        runs: list[Run] = read(
            self._link, lambda wire: [decode_run(run) for run in wire.runs], reply
        )
        for run in runs:
            if run.retry_of == self._run_id:
                self._run_id = run.run_id
                self._runs.add(run.run_id)
                self._awaits_repeat = False
                return True
        self._awaits_repeat = any(
            run.run_id == self._run_id and run.retry_at is not None for run in runs
        )
        return self._awaits_repeat


def _decode(reply: Any) -> list[Event]:
    return [decode_event(event) for event in reply.events]


def _names(field: str, given: str | Iterable[str] | None) -> list[str]:
    listed = [] if given is None else [given] if isinstance(given, str) else list(given)
    return [forms.text(field, name) for name in listed]


def _kind(name: str) -> EventKind:
    try:
        return EventKind(name)
    except ValueError:
        known = ", ".join(kind.value for kind in EventKind)
        raise InvalidArgument(f"kinds: give some of {known}", field="kinds") from None
