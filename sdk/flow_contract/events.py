"""What happened to tasks, runs, party runs and parties, and how somebody asks to be told of it."""

import enum
from dataclasses import dataclass
from datetime import datetime

from flow_contract import checks
from flow_contract.errors import InvalidArgument

MAX_TOKEN_CHARS = 128
# Of each list in a filter.
MAX_FILTERED = 1000


class EventKind(enum.StrEnum):
    """What an event is about."""

    TASK = "task"
    RUN = "run"
    PARTY_RUN = "party_run"
    PARTY = "party"


class Side(enum.StrEnum):
    """Which of its sides moved; in brackets the values that it moves between.

    `state` (a party run's states), `status` (a run's), `desired` (prepared, running, stopped),
    `retry` of a failed run (due, called_off), `existence` of a task (created, deleted), and of a
    party `connection` (connected, disconnected), `work` (accepting, draining) and `identity`
    (revoked).
    """

    STATE = "state"
    STATUS = "status"
    DESIRED = "desired"
    RETRY = "retry"
    EXISTENCE = "existence"
    CONNECTION = "connection"
    WORK = "work"
    IDENTITY = "identity"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One move. Ids that it has nothing to do with are empty; so is `from_value` of a first one.

    `token` resumes a watch after this event. `event_id` tells two events apart, and is not the
    order: that is the order in which they are told. `side` and the values are text, since newer
    servers may know more of them.
    """

    token: str
    event_id: int
    kind: EventKind
    side: str
    from_value: str
    to_value: str
    reason: str
    at: datetime
    task_id: str = ""
    run_id: str = ""
    party_run_id: str = ""
    federated_id: str = ""


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Which events are wanted: each field that is not empty leaves only what fits it."""

    task_ids: frozenset[str] = frozenset()
    run_id: str = ""
    federated_ids: frozenset[str] = frozenset()
    kinds: frozenset[EventKind] = frozenset()


@dataclass(frozen=True, kw_only=True)
class EventRequest:
    """A watch: what of, and from where; from now where nothing says it.

    One at most of `token` (after the event that it came with), `from_beginning` (of what is
    kept) and `since_run_id` (with this run's first event that is kept).
    """

    wanted: EventFilter = EventFilter()
    token: str = ""
    from_beginning: bool = False
    since_run_id: str = ""


def check_event_request(request: EventRequest) -> None:
    """Accept a watch that can be begun. The token itself is read elsewhere.

    Raises:
        InvalidArgument: it can't.
    """
    wanted = request.wanted
    for field, values in (
        ("task_ids", wanted.task_ids),
        ("federated_ids", wanted.federated_ids),
    ):
        checks.number(field, len(values), least=0, most=MAX_FILTERED)
        checks.texts(field, values, max_bytes=65_536)
    checks.text("run_id", wanted.run_id, max_chars=64)
    checks.text("since_run_id", request.since_run_id, max_chars=64)
    checks.text("token", request.token, max_chars=MAX_TOKEN_CHARS)
    begins = (request.token, request.from_beginning, request.since_run_id)
    if sum(map(bool, begins)) > 1:
        raise InvalidArgument(
            "token: give one of token, from_beginning and since_run_id, not several",
            field="token",
        )
