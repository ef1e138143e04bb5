"""One drawing of the board for a terminal: a line per party, the newest log lines below.

Importing this imports Rich. Whatever a site or a workload wrote is only shown: no text of theirs
reaches the terminal with control characters in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.states import colour_of
from flow_server_sdk.cli.watching.board import Board, PartyLine
from flow_server_sdk.cli.watching.port import Line

_BAR = 12
_GAP = 2
_PARTY, _METRIC, _ABOUT = 32, 24, 200
_LEAST_WIDTH = 8
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
        parties = self._board.parties
        # Without title, heading and the cursor's line.
        room = max(height - 3, 1)
        for_lines = max(room - min(len(parties), _LEAST_ROWS), 0)
        lines = list(self._lines)[-for_lines:] if for_lines else []
        room = max(room - len(lines), 1)
        shown, hidden = parties, list[PartyLine]()
        if len(parties) > room:
            ordered = sorted(parties, key=lambda party: party.is_over)
            keep = {party.party for party in ordered[: max(room - 1, 1)]}
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
        columns = _fitting(_columns(parties, self._board, self._now_s), width)
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        for column in columns:
            table.add_column(
                column.title, width=column.width, no_wrap=True, overflow="ellipsis",
                justify="right" if column.is_right else "left",
            )  # fmt: skip
        for row in range(len(parties)):
            table.add_row(*(column.cells[row] for column in columns))
        return table


@dataclass(kw_only=True)
class _Column:
    """One column, as wide as what is in it; the highest `rank` goes first where it is narrow."""

    title: str
    cells: list[RenderableType]
    rank: int
    width: int
    is_right: bool = False


def _columns(parties: Sequence[PartyLine], board: Board, now_s: float) -> list[_Column]:
    everybody = board.parties
    columns = [
        _texts("party", [_cut(party.title) for party in parties], rank=0, most=_PARTY),
        _texts("state", [_cut(p.state, colour_of(p.state)) for p in parties], rank=1),
    ]
    # Bars of what this run does not do would only take room.
    if any(party.pulled is not None for party in everybody):
        columns.append(_bars("image", [party.pulled for party in parties], rank=5))
    columns += [
        _bars("epoch", [_done(party) for party in parties], rank=6),
        _texts("", [_cut(_epochs(party)) for party in parties], rank=2),
    ]
    if any(party.uploaded is not None for party in everybody):
        columns.append(_bars("outputs", [party.uploaded for party in parties], rank=7))
    elapsed = [_cut(_elapsed(party, now_s)) for party in parties]
    return [
        *columns,
        _texts("metric", [_cut(_metric(party)) for party in parties], rank=4, most=_METRIC),
        _texts("elapsed", elapsed, rank=3, is_right=True),
        _texts("", [_cut(_about(party)) for party in parties], rank=8, most=_ABOUT),
    ]


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """Return the columns that fit; the last of those that are left may be cut down."""
    columns = [column for column in columns if column.width]
    while len(columns) > 1:
        over = sum(column.width + _GAP for column in columns) - width
        if over <= 0:
            break
        least = max(columns, key=lambda column: column.rank)
        if isinstance(least.cells[0], Text) and least.width - over >= _LEAST_WIDTH:
            least.width -= over
            break
        columns.remove(least)
    return columns


def _texts(
    title: str, cells: list[Text], *, rank: int, most: int = 40, is_right: bool = False
) -> _Column:
    widest = max((cell.cell_len for cell in cells), default=0)
    return _Column(
        title=title,
        cells=[*cells],
        rank=rank,
        width=min(max(widest, len(title)), most) if widest else 0,
        is_right=is_right,
    )


def _bars(title: str, parts: list[float | None], *, rank: int) -> _Column:
    has_any = any(part is not None for part in parts)
    cells = [_bar(part) for part in parts]
    return _Column(title=title, cells=cells, rank=rank, width=_BAR if has_any else 0)


def _metric(party: PartyLine) -> str:
    return "" if party.metric is None else f"{party.metric[0]} {party.metric[1]:.4g}"


def _elapsed(party: PartyLine, now_s: float) -> str:
    elapsed_s = party.elapsed_s(now_s)
    return "" if elapsed_s is None else clock(elapsed_s)


def _about(party: PartyLine) -> str:
    return party.note if party.reason in {"none", "completed"} else party.message


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
    if not party.epoch:
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
