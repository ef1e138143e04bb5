"""Pure: what a run's news amount to, one line per member. Seconds are of the caller's clock."""

import re
from dataclasses import dataclass, field
from typing import Any

from flow_contract.lifecycle import PartyRunState, is_final
from flow_contract.reasons import Reason
from flow_server_sdk.cli.members import members_of, name_of, title_of
from flow_server_sdk.cli.watching.port import Connection, MetricNews, News, OutputNews, TaskNews

_LAYERS = re.compile(r"(\d+) of (\d+) layers")
# What says most about a run comes first where there is room for one.
_FIRST_METRICS = ("loss",)


@dataclass(kw_only=True)
class PartyLine:
    """The newest of one member. The parts of 1 are None where nothing is known of them.

    `party` is its name in the run, `title` what people are shown.
    """

    party: str
    title: str
    state: str = ""
    reason: str = ""
    message: str = ""
    note: str = ""
    epoch: int | None = None
    total_epoch: int | None = None
    pulled: float | None = None
    uploaded: float | None = None
    metric: tuple[str, float] | None = None
    began_s: float | None = None
    ended_s: float | None = None
    has_arrived: bool | None = None
    """Whether all outputs are there; None where nobody has looked."""

    @property
    def is_coming(self) -> bool:
        """Whether outputs are known to be missing still; a share that never ran has none."""
        return self.has_arrived is False and self.began_s is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen here any more."""
        return self.state in set(PartyRunState) and is_final(PartyRunState(self.state))

    def elapsed_s(self, now_s: float) -> float | None:
        """Return for how long it has been running, None if it never was."""
        if self.began_s is None:
            return None
        return max((now_s if self.ended_s is None else self.ended_s) - self.began_s, 0.0)

    def take(self, party: dict[str, Any], *, ran_s: float | None, now_s: float) -> None:
        """Take one party's status; `ran_s` is for how long it has run, None if nobody knows."""
        self.state, self.reason = party["state"], party["reason"]
        self.message, self.note = party["message"], party["note"]
        self.epoch, self.total_epoch = party["current_epoch"], party["total_epoch"]
        if self.reason == Reason.PULLING_IMAGE:
            self.pulled = _part(self.message)
        elif self.pulled is not None:
            self.pulled = 1.0
        if self.ended_s is not None:
            return
        if self.began_s is None and party["started_at"] is not None:
            self.began_s = now_s
        if ran_s is not None:
            self.began_s = now_s - ran_s
        if self.is_over:
            self.ended_s = now_s


@dataclass(kw_only=True)
class Board:
    """One run as it is known. `status` is the task's."""

    name: str = ""
    status: str = ""
    message: str = ""
    run_id: str | None = None
    task: dict[str, Any] = field(default_factory=dict)
    is_reconnecting: bool = False
    is_over: bool = False
    _parties: dict[str, PartyLine] = field(default_factory=dict)

    @property
    def parties(self) -> list[PartyLine]:
        """The parties by rank, then the coordinator if there is one."""
        return list(self._parties.values())

    def take(self, news: News, *, now_s: float, ran_s: dict[str, float] | None = None) -> None:
        """Take one of the news; `ran_s` says for how long parties have run, if known."""
        match news:
            case TaskNews():
                self._take_task(news, now_s, ran_s or {})
            case MetricNews():
                self._take_metric(news)
            case OutputNews():
                self._take_outputs(news)
            case Connection():
                self.is_reconnecting = news.is_lost

    def _take_task(self, news: TaskNews, now_s: float, ran_s: dict[str, float]) -> None:
        task = news.task
        if task.get("run_id") != self.run_id:
            self._parties.clear()
        self.task, self.run_id = task, task.get("run_id")
        self.name, self.status = task["name"], task["status"] or ""
        self.message = task.get("run_message") or ""
        self.is_over = news.is_end
        for member in members_of(task):
            name = name_of(member)
            line = self._parties.setdefault(name, PartyLine(party=name, title=title_of(member)))
            line.take(member, ran_s=ran_s.get(name), now_s=now_s)

    def _take_metric(self, news: MetricNews) -> None:
        line = self._parties.get(news.party)
        if line is None:
            return
        is_first = news.name in _FIRST_METRICS
        if line.metric is None or is_first or line.metric[0] not in _FIRST_METRICS:
            line.metric = (news.name, news.value)

    def _take_outputs(self, news: OutputNews) -> None:
        if (line := self._parties.get(news.party)) is not None:
            line.has_arrived = news.complete
            line.uploaded = _uploaded(news)


def _uploaded(news: OutputNews) -> float | None:
    """Return which part of a party's outputs is there, None where none are known of."""
    if news.complete:
        return 1.0 if news.files else None
    if not news.coming_bytes:
        return None
    return (news.bytes + news.stored_bytes) / (news.bytes + news.coming_bytes)


def _part(message: str) -> float:
    """Return how much of an image is there, by its layers."""
    found = _LAYERS.search(message)
    return int(found[1]) / int(found[2]) if found and int(found[2]) else 0.0
