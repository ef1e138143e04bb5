"""The one table: rows, how they look on a terminal, and the page that keeps them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- begin measured -->", "<!-- end measured -->"
_HEAD = ("measure", "Fedflow", "reference, same run", "ratio", "goal", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside its reference; `ratio` and `goal` None for none.

    The goal is an upper bound, or a lower one where `more_is_better`.
    """

    measure: str
    value: str
    reference: str = ""
    ratio: float | None = None
    goal: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no goal."""
        if self.goal is None or self.ratio is None:
            return ""
        is_met = self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal
        return "met" if is_met else "missed"

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of the heading."""
        return (
            self.measure,
            self.value,
            self.reference,
            ""
            if self.ratio is None
            else f"{self.ratio:.2f}"
            if self.ratio >= 0.1
            else f"{self.ratio:.2g}",
            "" if self.goal is None else f"{'≥' if self.more_is_better else '≤'} {self.goal:g}",
            self.verdict,
        )


def plain(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([shown[0], "-" * max(len(line) for line in shown), *shown[1:]])


def markdown(rows: Sequence[Row]) -> str:
    """Return the table for a page."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(page: Path, content: str) -> None:
    """Put `content` between the page's markers, and leave the rest of it alone.

    Raises:
        ValueError: the page has no markers.
    """
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    page.write_text(
        pattern.sub(lambda _: f"{BEGIN}\n{content}\n{END}", text, count=1), encoding="utf-8"
    )
