"""One drawing of the board for a terminal: a line per party, the newest log lines below.

Importing this imports Rich. Whatever a site or a workload wrote is only shown: no text of theirs
reaches the terminal with control characters in it.
"""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flow_server_sdk.cli.asking import printable
from flow_server_sdk.cli.states import colour_of
from flow_server_sdk.cli.watching.board import Board, PartyLine
from flow_server_sdk.cli.watching.port import Line

_BAR = 12
_WIDE = 100
_NARROW = 60
_LEAST_ROWS = 3


class View:
    """One drawing of the board; it fits itself into whatever the terminal's size is then."""

    def __init__(self, board: Board, lines: Sequence[Line], *, now_s: float) -> None:
        self._board = board
        self._lines = lines
        self._now_s = now_s

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits; lines are cut, never broken over two."""
        width, height = options.max_width, options.height or console.size.height
        lines = list(self._lines)
        # Title, heading and the cursor's line.
        room = max(height - len(lines) - 3, _LEAST_ROWS)
        parties = self._board.parties
        shown, hidden = parties, list[PartyLine]()
        if len(parties) > room:
            ordered = sorted(parties, key=lambda party: party.is_over)
            keep = {party.party for party in ordered[: room - 1]}
            shown = [party for party in parties if party.party in keep]
            hidden = [party for party in parties if party.party not in keep]
        parts: list[RenderableType] = [self._title(), self._table(shown, width)]
        if hidden:
            parts.append(_cut(f"and {len(hidden)} more: {_counted(hidden)}", "dim"))
        parts += [_log_line(line) for line in lines]
        yield Group(*parts)

    def _title(self) -> Text:
        board = self._board
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(printable(board.name), style="bold")
        title.append(f" {board.status}", style=colour_of(board.status))
        if board.is_reconnecting:
            title.append("  reconnecting…", style="yellow")
        elif board.message:
            title.append(f"  {printable(board.message)}")
        return title

    def _table(self, parties: Sequence[PartyLine], width: int) -> Table:
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        table.add_column("party", no_wrap=True, overflow="ellipsis", max_width=max(width // 4, 8))
        table.add_column("state", no_wrap=True, min_width=9)
        if width >= _NARROW:
            table.add_column("image", no_wrap=True, width=_BAR)
        table.add_column("epoch", no_wrap=True, width=_BAR)
        table.add_column("", no_wrap=True)
        if width >= _WIDE:
            table.add_column("outputs", no_wrap=True, width=_BAR)
        table.add_column("metric", no_wrap=True, overflow="ellipsis", max_width=24)
        table.add_column("elapsed", no_wrap=True, justify="right")
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
        for party in parties:
            table.add_row(*self._cells(party, width))
        return table

    def _cells(self, party: PartyLine, width: int) -> list[RenderableType]:
        metric = "" if party.metric is None else f"{party.metric[0]} {party.metric[1]:.4g}"
        cells: list[RenderableType] = [
            _cut(party.party),
            _cut(party.state, colour_of(party.state)),
        ]
        if width >= _NARROW:
            cells.append(_bar(party.pulled))
        cells += [_bar(_done(party)), _cut(_epochs(party))]
        if width >= _WIDE:
            cells.append(_bar(party.uploaded))
        elapsed_s = party.elapsed_s(self._now_s)
        about = party.message if party.reason not in {"none", "completed"} else party.note
        cells += [_cut(metric), _cut("" if elapsed_s is None else clock(elapsed_s)), _cut(about)]
        return cells


def clock(seconds: float) -> str:
    """Return seconds as 0:07, 12:34 or 3:04:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cut(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _bar(done: float | None) -> RenderableType:
    return Text("") if done is None else ProgressBar(total=1.0, completed=done, width=_BAR)


def _done(party: PartyLine) -> float | None:
    if party.epoch is None or not party.total_epoch:
        return None
    return min(party.epoch / party.total_epoch, 1.0)


def _epochs(party: PartyLine) -> str:
    if party.epoch is None:
        return ""
    return f"{party.epoch}" + ("" if party.total_epoch is None else f"/{party.total_epoch}")


def _counted(parties: Sequence[PartyLine]) -> str:
    counts: dict[str, int] = {}
    for party in parties:
        counts[party.state] = counts.get(party.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _log_line(line: Line) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{printable(line.party)} ", style="dim")
    # A long line is cut before it is drawn: drawing looks at every letter.
    text.append(printable(line.text[:1000].replace("\t", " ")))
    return text
