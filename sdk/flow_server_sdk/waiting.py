"""How a wait goes: one stream of changes, opened again whenever it is lost, to the run's end."""

import logging
from collections.abc import Callable, Generator
from math import inf
from typing import Any

import grpc

from flow_contract.errors import FlowError
from flow_contract.lifecycle import is_final_status
from flow_server_sdk import failures, methods, shapes
from flow_server_sdk.payloads import forms
from flow_server_sdk.payloads import tasks as payloads
from flow_server_sdk.scripts import (
    MAX_ATTEMPTS,
    Link,
    Next,
    Open,
    Pause,
    Script,
    Step,
    Tell,
    explained,
    read,
)
from flow_wire import tasks_pb2
from flow_wire.codec.tasks import decode_task

log = logging.getLogger("flow_server_sdk")


def wait(task_id: object, timeout_s: object, on_change: object, link: Link) -> Script:
    """Return the task with its latest run's final state; a run that is repeated has none yet.

    A server that is not there at first is given the attempts of any call; one that was there
    and is lost is asked again until `timeout_s` is over, for ever if that is None.

    Raises:
        TimeoutError: the run was not final after `timeout_s`; it goes on.
        FlowError: what the user can't cause.
    """
    try:
        watch = _Watch(
            request=tasks_pb2.WaitTaskRequest(task_id=forms.text("task_id", task_id)),
            timeout_s=payloads.wait_timeout_s(timeout_s),
            listener=payloads.listener(on_change),
            link=link,
        )
        return (yield from watch.follow())
    except FlowError as error:
        return failures.answer(error)


class _Watch:
    """One wait. Invariant: the run that it is about is the one first heard of, or a repeat."""

    def __init__(
        self,
        *,
        request: tasks_pb2.WaitTaskRequest,
        timeout_s: float | None,
        listener: Callable[[dict[str, Any]], object] | None,
        link: Link,
    ) -> None:
        self._request = request
        self._timeout_s = timeout_s
        self._give_up_at = inf if timeout_s is None else link.clock() + timeout_s
        self._listener = listener
        self._link = link
        self._attempt = 0
        self._shown: dict[str, Any] = {}

    def follow(self) -> Script:
        """Listen until the run is final, opening the stream as often as it takes."""
        while True:
            left_s = self._left_s()
            if left_s <= 0:
                raise self._timeout()
            stream = yield Open(
                method=methods.WAIT_TASK,
                request=self._request,
                timeout_s=None if left_s == inf else left_s,
            )
            try:
                data = yield from self._listen(stream)
                if data is not None:
                    return shapes.success(data)
            except grpc.RpcError as error:
                yield from self._raise_unless_lost(error)
            finally:
                stream.cancel()
            yield from self._pause()

    def _listen(self, stream: Any) -> Generator[Step, Any, dict[str, Any] | None]:
        while (reply := (yield Next(stream=stream))) is not None:
            self._attempt = 0
            task = read(self._link, lambda wire: decode_task(wire.task), reply)
            # Whoever asks again asks for this run: somebody may have started the next meanwhile.
            self._request.run_id = task.run_id or ""
            data = shapes.waited_task(task)
            if data != self._shown:
                self._shown = data
                if self._listener is not None:
                    # Its own copy: what the user does to it must not end in the answer.
                    yield Tell(listener=self._listener, data=shapes.waited_task(task))
            if task.status is not None and is_final_status(task.status):
                return data
        return None

    def _raise_unless_lost(self, error: grpc.RpcError) -> Generator[Step, Any, None]:
        if failures.is_late(error) and self._give_up_at < inf:
            raise self._timeout() from error
        never_there = not self._shown and self._attempt + 1 >= MAX_ATTEMPTS
        if never_there or not failures.is_lost(error):
            raise (yield from explained(error, self._link)) from error

    def _pause(self) -> Generator[Step, Any, None]:
        pause_s = min(self._link.pause_s(self._attempt), self._left_s())
        self._attempt += 1
        if self._shown:
            log.warning(
                "%s: the wait for task %s was cut off; asking again in %.1f s",
                self._link.address,
                self._request.task_id,
                pause_s,
            )
        yield Pause(seconds=pause_s)

    def _left_s(self) -> float:
        return max(self._give_up_at - self._link.clock(), 0)

    def _timeout(self) -> TimeoutError:
        seen = f"is still {self._shown['status']}" if self._shown else "has not been heard of"
        return TimeoutError(
            f"task {self._request.task_id} {seen} at {self._link.address} "
            f"after {self._timeout_s} s; it goes on"
        )
