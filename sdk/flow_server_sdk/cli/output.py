"""How an answer is written: a table for people, JSON or bare ids for programs.

Colours and Rich, which is slow to import, are for tables alone.
"""

import functools
import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.asking import server_option

F = TypeVar("F", bound=Callable[..., Any])

TABLE, JSON, IDS = "table", "json", "id"
_PIPE_WIDTH = 400
# U+2400 and on show the control characters from 0 on.
_PICTURES = 0x2400
_DELETE = "\x7f"


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the caller asked for. `form` is TABLE, JSON or IDS."""

    form: str = TABLE
    no_color: bool = False

    def one(self, known: Mapping[str, Any], *, key: str, people: Callable[[], object]) -> None:
        """Write one thing; `key` is where its id stands, `people` writes it for people."""
        if self.form == JSON:
            write_json(known)
        elif self.form == IDS:
            click.echo(printable(str(known[key])))
        else:
            people()

    def many(
        self, known: Sequence[Mapping[str, Any]], *, key: str, people: Callable[[], object]
    ) -> None:
        """Write a list of things, ids one a line."""
        if self.form == JSON:
            write_json(known)
        elif self.form == IDS:
            for each in known:
                click.echo(printable(str(each[key])))
        else:
            people()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table for people; on a terminal it fits in, and states have colours."""
        if not sys.stdout.isatty():
            # A pipe has no width of its own, and an id that is broken over two lines is of no use.
            click.echo(aligned([columns, *rows]))
            return
        from rich.table import Table  # noqa: PLC0415 - --help must stay quick
        from rich.text import Text  # noqa: PLC0415 - the same

        from flow_server_sdk.cli.states import colour_of  # noqa: PLC0415 - the same

        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            cells = [printable(str(cell)) for cell in row]
            table.add_row(*(Text(cell, style=colour_of(cell)) for cell in cells))
        self.console().print(table)

    def console(self) -> Any:
        """Return a Rich console on stdout."""
        from rich.console import Console  # noqa: PLC0415 - --help must stay quick

        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        # None: Rich looks for NO_COLOR by itself.
        return Console(width=width, no_color=True if self.no_color else None, highlight=False)


def showing(command: F) -> F:
    """Give a command the option `server` and an Output as `out`."""

    @functools.wraps(command)
    def run(*args: Any, form: str, as_json: bool, no_color: bool, **given: Any) -> Any:
        # What others wrote may be in letters that this terminal's encoding lacks.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        out = Output(form=JSON if as_json else form, no_color=no_color)
        return command(*args, out=out, **given)

    options = (
        click.option("--no-color", is_flag=True, help="No colours, as with NO_COLOR."),
        click.option("--json", "as_json", is_flag=True, help="Short for --output json."),
        click.option(
            "-o",
            "--output",
            "form",
            type=click.Choice([TABLE, JSON, IDS]),
            default=TABLE,
            show_default=True,
            help="id: nothing but ids, one a line.",
        ),
        server_option,
    )
    return functools.reduce(lambda decorated, option: option(decorated), options, run)  # type: ignore[return-value]


def write_json(known: object) -> None:
    """Write one document on one line; what is not ASCII is escaped, control characters too."""
    click.echo(json.dumps(known))


def say(sentence: str) -> None:
    """Tell people on stderr, so that stdout holds the answer alone."""
    click.echo(printable(sentence), err=True)


def aligned(rows: Iterable[Sequence[object]], *, indent: str = "") -> str:
    """Return rows as lines with columns under each other, without Rich and without colour."""
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    if not texts:
        return ""
    widths = [max(map(width_of, column)) for column in zip(*texts, strict=True)]
    return "\n".join((indent + "  ".join(map(_padded, row, widths))).rstrip() for row in texts)


def visible(text: str) -> str:
    """Return a line of a workload's as a terminal may have it: control characters as pictures.

    Tabs stay. What else can't be printed, such as marks that turn the writing round, is "?".
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable() or letter == "\t":
        return letter
    if letter == _DELETE:
        return "\u2421"
    return chr(_PICTURES + ord(letter)) if letter < " " else "?"


def width_of(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return sum(_cells(letter) for letter in text)


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
