"""One watch from the first look to the exit code, and the question at Ctrl-C."""

import contextlib
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import click

from flow_contract.errors import FlowError
from flow_contract.foreign_text import printable
from flow_contract.lifecycle import RunStatus, is_final_status
from flow_server_sdk.cli.asking import connected, data_of
from flow_server_sdk.cli.exits import CommandFailed, Ended, Exit, of_error, of_task
from flow_server_sdk.cli.members import members_of, name_of
from flow_server_sdk.cli.output import IDS, JSON, TABLE, Output, say
from flow_server_sdk.cli.watching.board import Board
from flow_server_sdk.cli.watching.following import Following
from flow_server_sdk.cli.watching.plain import state_of
from flow_server_sdk.cli.watching.port import Broken, News, Source, TaskNews
from flow_server_sdk.cli.watching.shows import JsonShow, LiveShow, PlainShow, Show, Silent

_REFRESH_S = 0.25
# For so long a terminal shows how the last outputs arrive.
LINGER_S = 3.0


def watch(
    server: str,
    task: dict[str, Any],
    out: Output,
    *,
    is_quiet: bool,
    timeout_s: float | None,
    has_outputs: bool = False,
) -> NoReturn:
    """Follow the task's newest run to its end and end the command by how it ended.

    `is_quiet` shows nothing on the way. `timeout_s` None waits for ever. `has_outputs` waits
    until all outputs are at the server.
    """
    is_live = not is_quiet and out.form == TABLE and _has_screen(out)
    source = Following(
        connected(server),
        task["task_id"],
        has_logs=is_live,
        has_metrics=not is_quiet,
        outputs_s=math.inf if has_outputs else LINGER_S if is_live else 0.0,
    )
    with contextlib.closing(source):
        session = Session(source, lambda: _stop(server, task), timeout_s=timeout_s)
        board = session.follow(_show(out, source, is_quiet=is_quiet, is_live=is_live))
    _leave(board, out, task)


class Session:
    """Takes the news from the source to the board, and the board to the show."""

    def __init__(
        self,
        source: Source,
        stop: Callable[[], None],
        *,
        timeout_s: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._stop = stop
        self._clock = clock
        self._give_up_at = None if timeout_s is None else clock() + timeout_s
        self._is_stopping = False
        self.board = Board()

    def follow(self, show: Show) -> Board:
        """Return the board at the end of the run.

        Raises:
            CommandFailed: the run can't be followed, or nobody wants to any more.
        """
        with _interrupts() as interrupted, show:
            while not self.board.is_over:
                news = self._source.next(self._wait_s())
                if news is not None:
                    self._take(news)
                show.update(self.board, news)
                if interrupted():
                    self._ask(show)
                self._look_at_the_clock()
        return self.board

    def _take(self, news: News) -> None:
        if isinstance(news, Broken):
            _give_up(news.error)
        is_first = self.board.run_id is None
        ran_s = _ran_s(news.task, is_first=is_first) if isinstance(news, TaskNews) else {}
        self.board.take(news, now_s=self._clock(), ran_s=ran_s)

    def _wait_s(self) -> float:
        if self._give_up_at is None:
            return _REFRESH_S
        return min(max(self._give_up_at - self._clock(), 0.0), _REFRESH_S)

    def _look_at_the_clock(self) -> None:
        is_late = self._give_up_at is not None and self._clock() >= self._give_up_at
        if is_late and not self.board.is_over:
            if _has_ended(self.board):
                raise Ended("--timeout is over, outputs are still coming", Exit.STILL_RUNNING)
            code = of_task(self.board.task) if self.board.task else Exit.STILL_RUNNING
            status = self.board.status or "not heard of"
            raise Ended(f"--timeout is over, the run is {status} and goes on", code)

    def _ask(self, show: Show) -> None:
        """Ask whether to stop the task; who says no, or says nothing, stops watching."""
        show.pause()
        if _has_ended(self.board):
            raise Ended("the run has ended; outputs are still coming", Exit.INTERRUPTED)
        if not self._is_stopping and sys.stdin.isatty() and sys.stderr.isatty():
            with _default_interrupts():
                try:
                    is_yes = click.confirm(
                        "\nStop the task at all parties? (no: only stop watching)", err=True
                    )
                except click.Abort:
                    is_yes = False
            if is_yes:
                self._stop()
                self._is_stopping = True
                show.resume()
                return
        raise Ended(
            "not watching any more; the task goes on, and 'fedflow task watch' shows it again",
            Exit.INTERRUPTED,
        )


def _show(out: Output, source: Source, *, is_quiet: bool, is_live: bool) -> Show:
    if out.form == JSON:
        return JsonShow(has_all=not is_quiet)
    if is_live:
        return LiveShow(out, source)
    return Silent() if is_quiet or out.form == IDS else PlainShow()


def _has_screen(out: Output) -> bool:
    return sys.stdout.isatty() and not out.console().is_dumb_terminal


def _stop(server: str, task: dict[str, Any]) -> None:
    # A client of its own: the source's may be in the middle of finding its server again.
    with connected(server) as sdk:
        try:
            data_of(sdk.task.stop(task["task_id"]))
        except FlowError as error:
            raise CommandFailed(printable(error.message), of_error(type(error))) from None
        except CommandFailed as error:
            # It ended while the question was open; the watch shows how.
            if error.exit_code != Exit.CONFLICT:
                raise
    say("asked all parties to stop")


def _has_ended(board: Board) -> bool:
    return board.status in set(RunStatus) and is_final_status(RunStatus(board.status))


def _leave(board: Board, out: Output, task: dict[str, Any]) -> NoReturn:
    code = of_task(board.task)
    coming = [party.title for party in board.parties if party.is_coming]
    if coming and out.form != JSON:
        say(f"outputs are still coming from {', '.join(coming)}: 'fedflow task outputs' says more")
    if code is not Exit.OK and out.form != JSON:
        for party in board.parties:
            if party.state != "succeeded":
                say(f"{party.title} {state_of(party)}")
        if board.message:
            say(f"{task['name']}: {board.message}")
    sys.exit(int(code))


def _give_up(error: Exception) -> NoReturn:
    if isinstance(error, FlowError):
        raise CommandFailed(printable(error.message), of_error(type(error))) from None
    raise error


def _ran_s(task: dict[str, Any], *, is_first: bool) -> dict[str, float]:
    """Return for how long parties have run, where that is known better than by watching them.

    Of one that has ended its site's clock says so exactly. Of one that was running when the
    watch began, the site's clock and ours, which may differ, say more than nothing.
    """
    found = {}
    for member in members_of(task):
        began, ended = (_moment(member[key]) for key in ("started_at", "finished_at"))
        if began is not None and (ended is not None or is_first):
            length = (ended or datetime.now(UTC)) - began
            found[name_of(member)] = max(length.total_seconds(), 0.0)
    return found


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parsedate_to_datetime(text).replace(tzinfo=UTC)


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Yield what says whether Ctrl-C came since it was asked last; nothing is cut short by it."""
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True

    def taken() -> bool:
        nonlocal pressed
        was, pressed = pressed, False
        return was

    before = signal.signal(signal.SIGINT, note)
    try:
        yield taken
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _default_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
