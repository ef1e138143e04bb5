"""How each party ended, and how good the models became, as tables."""

from email.utils import parsedate_to_datetime
from typing import Any

from rich.table import Table
from rich.text import Text

COORDINATOR = "coordinator"
COLOURS = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "refused": "red",
    "lost": "red",
    "stopped": "yellow",
}


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


def rounds_table(rounds: list[dict[str, Any]], alone: dict[str, dict[int, float]]) -> Table:
    """Return one row per round: the accuracy of the shared model, and of each party's own."""
    parties = [party for party in sorted(alone) if party != COORDINATOR]
    table = Table("round", *(f"{party} alone" for party in parties), "together")
    for each in rounds:
        number = each["round"]
        own = (_number(alone[party].get(number), ".3f") for party in parties)
        table.add_row(str(number), *own, Text(_number(each["accuracy"], ".3f"), style="green"))
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
