"""How far a download is: one bar on a terminal, one sentence elsewhere."""

import contextlib
import itertools
import sys
from collections.abc import Sequence
from typing import Any, Self

from flow_server_sdk.cli.output import TABLE, Output, say
from flow_server_sdk.cli.sizes import size_of
from flow_server_sdk.cli.tasks.outputs import path_of


class Progress:
    """Hears of each file of `files`, which come one after the other, in this order."""

    def __init__(self, files: Sequence[dict[str, Any]], out: Output) -> None:
        sizes = [file["bytes"] for file in files]
        self._total_bytes = sum(sizes)
        begins = itertools.accumulate(sizes, initial=0)
        self._begins = {
            (file["party"], file["name"]): begin for file, begin in zip(files, begins, strict=False)
        }
        self._is_told = bool(files) and out.form == TABLE
        self._bar = self._drawn(out) if self._is_told and sys.stderr.isatty() else None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total_bytes)
        elif self._is_told:
            say(f"bringing {size_of(self._total_bytes)} in {len(self._begins)} files")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def told(self, file: dict[str, Any]) -> None:
        """Take what `task.download` says of a file."""
        if self._bar is not None:
            # One that came up meanwhile is not in the sum, and leaves the bar alone.
            with contextlib.suppress(KeyError):
                begin = self._begins[file["party"], file["name"]]
                done = begin + file["downloaded_bytes"]
                self._bar.update(self._task, completed=done, description=path_of(file)[-40:])

    def _drawn(self, out: Output) -> Any:
        from rich import progress  # noqa: PLC0415 - only who has a terminal needs it
        from rich.console import Console  # noqa: PLC0415 - the same

        console = Console(stderr=True, no_color=True if out.no_color else None)
        return progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
