"""A source of news over FlowServerSdk's calls: the wait, the log's end, metrics, outputs.

Each listens in a thread of its own. The wait tells when the server is lost, by its warnings;
that it is back shows in the next call that is answered. The wait is a stream of the whole task;
events say less of each change, so that each would cost a call more.
"""

import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flow_contract.errors import FlowError, Unavailable
from flow_contract.lifecycle import PartyRunState
from flow_server_sdk.cli.asking import data_of
from flow_server_sdk.cli.exits import CommandFailed
from flow_server_sdk.cli.members import members_of, name_of
from flow_server_sdk.cli.tasks.arriving import has_ended
from flow_server_sdk.cli.watching.port import (
    Broken,
    Connection,
    Line,
    MetricNews,
    News,
    OutputNews,
    TaskNews,
)

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

LINES = 5
METRICS_EVERY_S = 2.0
OUTPUTS_EVERY_S = 2.0
# At the end somebody waits for it, and it is mostly there at once.
_FIRST_LOOK_S = 0.1
RETRY_S = 1.0
_LOG = logging.getLogger("flow_server_sdk")
# What a closed client raises in the middle of a call.
_CLOSED = (RuntimeError, ValueError)


class Following:
    """The news of a task's newest run. `sdk` is for it alone, and closed with it.

    Outputs are waited for until `outputs_s` after the run's end; with 0 nobody asks for them.
    """

    def __init__(
        self,
        sdk: "FlowServerSdk",
        task_id: str,
        *,
        has_logs: bool,
        has_metrics: bool,
        outputs_s: float = 0.0,
    ) -> None:
        self._sdk = sdk
        self._task_id = task_id
        self._has_logs = has_logs
        self._has_metrics = has_metrics
        self._outputs_s = outputs_s
        self._outputs: dict[str, OutputNews] = {}
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._closed = threading.Event()
        self._is_lost = False
        self._run_id: str | None = None
        self._task: dict[str, Any] = {}
        self._cuts = _Cuts(self._cut)
        _LOG.addHandler(self._cuts)
        self._begin(self._wait)

    def next(self, timeout_s: float) -> News | None:
        """See `Source.next`."""
        try:
            return self._news.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def lines(self) -> Sequence[Line]:
        """See `Source.lines`."""
        return list(self._lines)

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        self._sdk.close()

    def _begin(self, listen: Any, *arguments: object) -> None:
        # Daemons: what hangs in a call must not keep the command from ending.
        threading.Thread(target=listen, args=arguments, daemon=True).start()

    def _wait(self) -> None:
        try:
            answer = self._sdk.task.wait(self._task_id, on_change=self._changed)
            task = data_of(answer)
            if self._outputs_s:
                self._await_outputs(task["run_id"])
            self._news.put(TaskNews(task=task, is_end=True))
        except (FlowError, CommandFailed, *_CLOSED) as error:
            if not self._closed.is_set():
                self._news.put(Broken(error=error))
        finally:
            # Not in `close`: the wait says once more that it was cut off, by that.
            _LOG.removeHandler(self._cuts)

    def _changed(self, task: dict[str, Any]) -> None:
        self._answered()
        self._task = task
        run_id = task["run_id"]
        if run_id is not None and run_id != self._run_id:
            # A retry is a run of its own, with logs and metrics of its own.
            self._run_id = run_id
            self._lines.clear()
            if self._has_logs:
                self._begin(self._read_logs, run_id)
            if self._has_metrics:
                self._begin(self._read_metrics, run_id)
            if self._outputs_s:
                self._outputs.clear()
                self._begin(self._read_outputs, run_id)
        self._news.put(TaskNews(task=task))

    def _read_logs(self, run_id: str) -> None:
        while self._is_wanted(run_id):
            try:
                for line in self._sdk.task.logs(
                    self._task_id, run_id=run_id, follow=True, tail=LINES
                ):
                    if not self._is_wanted(run_id):
                        return
                    self._lines.append(Line(party=line.party, text=line.text))
            except Unavailable:
                self._closed.wait(RETRY_S)
            except (FlowError, *_CLOSED):
                # A site may keep its log to itself; the run can be followed without.
                return
            else:
                return

    def _is_wanted(self, run_id: str) -> bool:
        return run_id == self._run_id and not self._closed.is_set()

    def _read_metrics(self, run_id: str) -> None:
        counts: defaultdict[str, int] = defaultdict(int)
        every_s = METRICS_EVERY_S
        while not self._closed.wait(every_s) and run_id == self._run_id:
            members = members_of(self._task)
            every_s = max(METRICS_EVERY_S, len(members) / 10)
            for rank, member in enumerate(members):
                if member["state"] == PartyRunState.RUNNING and not self._measure(
                    run_id, rank, name_of(member), counts
                ):
                    break

    def _measure(self, run_id: str, rank: int, party: str, counts: dict[str, int]) -> bool:
        """Tell what a party measured since it was asked last; say whether it answered."""
        try:
            answer = self._sdk.task.metrics(
                self._task_id, party=party, run_id=run_id, after=f"{rank}.{counts[party]}"
            )
        except (FlowError, *_CLOSED):
            return False
        if answer["ret_code"]:
            return False
        self._answered()
        points = answer["data"]["points"]
        counts[party] += len(points)
        for name, point in {each["name"]: each for each in points}.items():
            self._news.put(
                MetricNews(party=party, name=name, step=point["step"], value=point["value"])
            )
        return True

    def _read_outputs(self, run_id: str) -> None:
        """Tell of parties that have ended before the others."""
        while not self._closed.wait(OUTPUTS_EVERY_S) and run_id == self._run_id:
            members = members_of(self._task)
            ended = {name_of(each) for each in members if has_ended(each)}
            if len(ended) == len(members):
                return
            if any(name not in self._outputs or not self._outputs[name].complete for name in ended):
                self._look_for_outputs(run_id, ended)

    def _await_outputs(self, run_id: str) -> None:
        give_up_at = time.monotonic() + self._outputs_s
        every_s = _FIRST_LOOK_S
        everybody = {name_of(each) for each in members_of(self._task)}
        while not self._look_for_outputs(run_id, everybody):
            if time.monotonic() + every_s > give_up_at or self._closed.wait(every_s):
                return
            every_s = min(every_s * 2, OUTPUTS_EVERY_S)

    def _look_for_outputs(self, run_id: str, wanted: set[str]) -> bool:
        """Tell what is new of these parties' outputs; say whether nothing more comes of them."""
        try:
            answer = self._sdk.task.outputs(self._task_id, run_id=run_id, parties_only=True)
        except Unavailable:
            self._cut()
            return False
        except (FlowError, *_CLOSED):
            return True
        if answer["ret_code"]:
            return True
        self._answered()
        parties = [one for one in answer["data"]["parties"] if one["party"] in wanted]
        for one in parties:
            news = _output_news(one)
            if self._outputs.get(news.party) != news:
                self._outputs[news.party] = news
                self._news.put(news)
        return all(one["complete"] for one in parties)

    def _cut(self) -> None:
        if not self._is_lost and not self._closed.is_set():
            self._is_lost = True
            self._news.put(Connection(is_lost=True))
            self._begin(self._look_for_server)

    def _look_for_server(self) -> None:
        while not self._closed.is_set() and self._is_lost:
            try:
                self._sdk.task.get(self._task_id)
            except FlowError:
                continue
            except _CLOSED:
                return
            self._answered()

    def _answered(self) -> None:
        if self._is_lost:
            self._is_lost = False
            self._news.put(Connection(is_lost=False))


def _output_news(party: dict[str, Any]) -> OutputNews:
    return OutputNews(
        party=party["party"],
        complete=party["complete"],
        files=party["files"],
        bytes=party["bytes"],
        coming_bytes=sum(one["bytes"] for one in party["coming"]),
        stored_bytes=sum(one["stored_bytes"] for one in party["coming"]),
    )


class _Cuts(logging.Handler):
    """Hears from the SDK's log that the wait was cut off, and keeps it off the terminal."""

    def __init__(self, cut: Any) -> None:
        super().__init__(logging.WARNING)
        self._cut = cut

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of the record."""
        del record
        self._cut()
