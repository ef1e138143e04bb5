"""Ways to show a board: on a terminal, a line per change, JSON, or nothing at all."""

import time
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Protocol, Self

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.output import Output, write_json
from flow_server_sdk.cli.watching.board import Board
from flow_server_sdk.cli.watching.plain import Changes
from flow_server_sdk.cli.watching.port import (
    Broken,
    Connection,
    MetricNews,
    News,
    OutputNews,
    Source,
    TaskNews,
)

END = "end"


class Show(Protocol):
    """Shows one run. Between `pause` and `resume` the terminal is somebody else's."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; what was shown last stays."""
        ...

    def update(self, board: Board, news: News | None) -> None:
        """Show the board after this news; None: only time has passed."""
        ...

    def pause(self) -> None:
        """Leave the terminal alone."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, board: Board, news: News | None) -> None:
        """See `Show.update`."""

    def pause(self) -> None:
        """See `Show.pause`."""

    def resume(self) -> None:
        """See `Show.resume`."""


class PlainShow(Silent):
    """One line per change."""

    def __init__(self) -> None:
        self._changes = Changes()

    def update(self, board: Board, news: News | None) -> None:
        """See `Show.update`."""
        if news is not None:
            for line in self._changes.of(board):
                click.echo(printable(line))


class JsonShow(Silent):
    """One JSON object per news, or for the end alone."""

    def __init__(self, *, has_all: bool) -> None:
        self._has_all = has_all

    def update(self, board: Board, news: News | None) -> None:
        """See `Show.update`."""
        del board
        document = None if news is None else as_json(news)
        if document is not None and (self._has_all or document["event"] == END):
            write_json(document)


class LiveShow:
    """A few drawings a second, each over the last."""

    def __init__(
        self, out: Output, source: Source, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.live import Live  # noqa: PLC0415 - only who has a terminal needs it

        self._source = source
        self._clock = clock
        self._live = Live(console=out.console(), auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, board: Board, news: News | None) -> None:
        """See `Show.update`."""
        del news
        from flow_server_sdk.cli.watching.live import View  # noqa: PLC0415 - as above

        # At the end the lines of the log would only hide how it ended.
        lines = () if board.is_over else self._source.lines()
        self._live.update(View(board, lines, now_s=self._clock()), refresh=True)

    def pause(self) -> None:
        """See `Show.pause`."""
        self._live.stop()

    def resume(self) -> None:
        """See `Show.resume`."""
        self._live.start()


def as_json(news: News) -> dict[str, Any] | None:
    """Return one of the news as a document, None for what ends the command anyway."""
    match news:
        case TaskNews():
            return {"event": END if news.is_end else "task", "task": news.task}
        case MetricNews():
            return {"event": "metric", **asdict(news)}
        case OutputNews():
            return {"event": "outputs", **asdict(news)}
        case Connection():
            return {"event": "lost" if news.is_lost else "connected"}
        case Broken():
            return None
