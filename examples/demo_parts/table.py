"""The parties' status for people: live on a terminal, a line per change elsewhere."""

import time
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

REFRESHES_PER_S = 4
COLOURS = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "refused": "red",
    "lost": "red",
    "stopped": "yellow",
}
FINAL = {"succeeded", "failed", "refused", "stopped"}


class StatusBoard:
    """Shows what `task.wait` reports. Use as a context manager; `update` is its listener."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parties: list[dict[str, Any]] = []
        self._running_since: dict[str, float] = {}
        self._ran_s: dict[str, float] = {}
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, task: dict[str, Any]) -> None:
        """Take the task as it is now."""
        now = time.monotonic()
        before = {party["federated_id"]: _state(party) for party in self._parties}
        self._parties = task["party_status"] or []
        for party in self._parties:
            name = party["federated_id"]
            if party["state"] == "running":
                self._running_since.setdefault(name, now)
            if party["state"] in FINAL and name in self._running_since:
                self._ran_s.setdefault(name, now - self._running_since[name])
            if not self._console.is_terminal and _state(party) != before.get(name):
                self._console.print(
                    f"{name} {_state(party)}", highlight=False, markup=False, soft_wrap=True
                )

    def seconds(self) -> dict[str, float]:
        """Return for how long each party was seen running; who was never seen is left out."""
        return dict(self._ran_s)

    def _table(self) -> Table:
        table = Table("party", "status", "epoch", "seconds")
        now = time.monotonic()
        for party in self._parties:
            name = party["federated_id"]
            since = self._running_since.get(name)
            ran_s = self._ran_s.get(name, now - since if since is not None else None)
            table.add_row(name, _coloured(party), _epoch(party), _number(ran_s, ".1f"))
        return table


def final_table(
    parties: list[dict[str, Any]], seconds: dict[str, float], results: dict[str, dict[str, Any]]
) -> Table:
    """Return one row per party: how it ended, how long it ran, what its model learnt."""
    table = Table("party", "status")
    for heading in ("exit code", "epoch", "seconds", "accuracy"):
        table.add_column(heading, justify="right")
    for party in parties:
        name = party["federated_id"]
        table.add_row(
            name,
            _coloured(party),
            _number(party["exit_code"], "d"),
            _epoch(party),
            _number(seconds.get(name, _by_the_site(party)), ".1f"),
            _number(results.get(name, {}).get("accuracy"), ".3f"),
        )
    return table


def _by_the_site(party: dict[str, Any]) -> float | None:
    """Return the run's length by the site's clock, in whole seconds; None if it never ran."""
    if not party["started_at"] or not party["finished_at"]:
        return None
    started, finished = map(parsedate_to_datetime, (party["started_at"], party["finished_at"]))
    return (finished - started).total_seconds()


def _state(party: dict[str, Any]) -> str:
    if party["state"] in {"running", "succeeded"} or party["reason"] == "none":
        return str(party["state"])
    return f"{party['state']} ({party['reason']}): {party['message']}"


def _epoch(party: dict[str, Any]) -> str:
    if party["current_epoch"] is None:
        return "-"
    total = party["total_epoch"]
    return f"{party['current_epoch']}" + ("" if total is None else f"/{total}")


def _coloured(party: dict[str, Any]) -> Text:
    # Text, not markup: a site's message may hold brackets.
    return Text(_state(party), style=COLOURS.get(party["state"], ""))


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
