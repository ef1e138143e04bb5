"""`sdk.event`: what happens to tasks, runs, party runs and parties, as it happens."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from flow_server_sdk.calls.surface import Surface
from flow_server_sdk.scripts import Items, Link, Script
from flow_server_sdk.watching import event_request, watch_events

R = TypeVar("R")
E = TypeVar("E")


class EventCalls(Surface[R], Generic[R, E]):
    """Watch events."""

    def __init__(
        self, run: Callable[[Script], R], link: Link, iterate: Callable[[Items], Any]
    ) -> None:
        super().__init__(run, link)
        self._iterate = iterate

    def watch(
        self,
        *,
        token: str = "",
        from_beginning: bool = False,
        task: str | Iterable[str] | None = None,
        run_id: str = "",
        party: str | Iterable[str] | None = None,
        kinds: str | Iterable[str] | None = None,
    ) -> E:
        """Iterate over events as they happen, each once and in order, for as long as you iterate.

        Each is a `flow_contract.events.Event`: kind (task, run, party_run, party), side,
        from_value, to_value, reason, at, task_id, run_id, party_run_id, federated_id, and a
        `token` that goes on after it, also in another process. Without `token` the watch begins
        now (when the first item is asked for), or with the oldest event that is kept. A lost
        connection is taken up again without a hole or a repeat. What you may not see is left out.

        Raises:
            InvalidArgument: here, or while iterating for a token that is not this server's.
            Conflict: while iterating: events after the token were deleted by age; begin anew.
        """
        request = event_request(
            token=token,
            from_beginning=from_beginning,
            task=task,
            run_id=run_id,
            party=party,
            kinds=kinds,
        )
        iterator: E = self._iterate(watch_events(request, self._link))
        return iterator
