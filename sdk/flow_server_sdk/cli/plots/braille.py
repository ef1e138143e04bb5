"""Curves as lines of text: each cell is 2 by 4 braille dots. Pure."""

from collections.abc import Sequence

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.plots.series import Curve

# Rich's names; one per curve, again and again.
COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
_BLANK = 0x2800
_ACROSS, _DOWN = 2, 4
# By row and column of a cell, as Unicode numbers the dots.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_LEAST_WIDTH, _LEAST_HEIGHT = 10, 4

Cells = dict[tuple[int, int], tuple[int, int]]
Segment = tuple[str, str]


def plot(name: str, curves: Sequence[Curve], *, width: int, height: int) -> list[list[Segment]]:
    """Return lines of (text, colour): a title, the picture with its scales, who is who.

    `width` and `height` are in cells; what is too small is drawn larger.
    """
    values = [value for curve in curves for value in curve.values]
    steps = [step for curve in curves for step in curve.steps]
    low, high = min(values), max(values)
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels)) + 1
    columns = max(width - margin - 1, _LEAST_WIDTH)
    rows = max(height - 3, _LEAST_HEIGHT)
    canvas = _Canvas(columns, rows, (min(steps), max(steps)), (low, high))
    for number, curve in enumerate(curves):
        canvas.draw(curve, number)
    lines: list[list[Segment]] = [[(printable(name), "bold")]]
    for row, segments in enumerate(canvas.lines()):
        label = labels[0] if row == 0 else labels[1] if row == rows - 1 else ""
        lines.append([(f"{label:>{margin - 1}} ┤", ""), *segments])
    first, last = str(min(steps)), str(max(steps))
    gap = max(columns - len(first) - len(last), 1)
    lines.append([(" " * (margin + 1) + first + " " * gap + last, "")])
    lines.append(_legend(curves))
    return lines


def _legend(curves: Sequence[Curve]) -> list[Segment]:
    segments: list[Segment] = []
    for number, curve in enumerate(curves):
        segments.append(("━ ", COLOURS[number % len(COLOURS)]))
        segments.append((f"{printable(curve.party)} {curve.values[-1]:.4g}   ", ""))
    return segments


class _Canvas:
    """Dots in cells; a cell has the colour of the curve that came into it last."""

    def __init__(
        self, columns: int, rows: int, steps: tuple[int, int], values: tuple[float, float]
    ) -> None:
        self._columns, self._rows = columns, rows
        self._steps, self._values = steps, values
        self._cells: Cells = {}

    def draw(self, curve: Curve, number: int) -> None:
        """Draw a curve as a line from point to point."""
        dots = [
            (
                _scaled(step, *self._steps, self._columns * _ACROSS - 1),
                self._rows * _DOWN - 1 - _scaled(value, *self._values, self._rows * _DOWN - 1),
            )
            for step, value in zip(curve.steps, curve.values, strict=True)
        ]
        for start, end in zip(dots, dots[1:] or dots, strict=False):
            for dot in _line(start, end):
                self._set(*dot, number)

    def lines(self) -> list[list[Segment]]:
        """Return the rows from the top, cells of one colour together."""
        return [self._row(row) for row in range(self._rows)]

    def _row(self, row: int) -> list[Segment]:
        segments: list[Segment] = []
        for column in range(self._columns):
            dots, number = self._cells.get((column, row), (0, -1))
            letter = chr(_BLANK + dots) if dots else " "
            colour = COLOURS[number % len(COLOURS)] if dots else ""
            if segments and segments[-1][1] == colour:
                segments[-1] = (segments[-1][0] + letter, colour)
            else:
                segments.append((letter, colour))
        return segments

    def _set(self, across: int, down: int, number: int) -> None:
        place = (across // _ACROSS, down // _DOWN)
        dots, _ = self._cells.get(place, (0, number))
        self._cells[place] = (dots | _DOTS[down % _DOWN][across % _ACROSS], number)


def _scaled(value: float, low: float, high: float, most: int) -> int:
    # Halves, for the difference of two of the largest floats is no number any more.
    span = high / 2 - low / 2
    return round((value / 2 - low / 2) / span * most) if span else most // 2


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots from one to the other, both included."""
    count = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + (end[0] - start[0]) * part / count),
            round(start[1] + (end[1] - start[1]) * part / count),
        )
        for part in range(count + 1)
    ]
