"""Bytes of several processes as lines of one terminal. Pure but for `Console.write`."""

import json
from collections.abc import Callable, Iterable

import click

MAX_LINE_BYTES = 64 * 1024
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")


class LineSplitter:
    """Collects bytes into whole lines; a line that never ends is cut, not kept."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def end(self) -> list[str]:
        """Return what stands after the last line end."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []


def readable(line: str) -> str:
    """Return a JSON log line as `level event key=value …`, any other line as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
        return line
    event, level = fields.pop("event"), fields.pop("level", "info")
    time = str(fields.pop("timestamp", ""))[11:19]
    trace = fields.pop("exception", None)
    values = " ".join(f"{key}={value}" for key, value in fields.items())
    text = " ".join(part for part in (time, f"{level:<7}", event, values) if part).rstrip()
    return f"{text}\n{trace}" if trace else text


class Console:
    """Prints each process's lines under its own name and colour.

    `write` takes a whole line and may raise BrokenPipeError: then `on_broken` is called once and
    nothing is printed any more.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        as_json: bool = False,
        write: Callable[[str], None] = click.echo,
    ) -> None:
        names = list(names)
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._width = max(len(name) for name in names)
        self._as_json = as_json
        self._write = write
        self._broken = False
        self.on_broken: Callable[[], None] = lambda: None

    def line(self, name: str, text: str) -> None:
        """Print one line of the process `name`."""
        prefix = click.style(f"{name:<{self._width}} |", fg=self._colours[name])
        for part in (text if self._as_json else readable(text)).split("\n"):
            self._print(f"{prefix} {part}")

    def note(self, text: str) -> None:
        """Print a sentence of our own."""
        self._print(click.style(text, bold=True))

    def _print(self, text: str) -> None:
        if self._broken:
            return
        try:
            self._write(text)
        except BrokenPipeError:
            self._broken = True
            self.on_broken()
