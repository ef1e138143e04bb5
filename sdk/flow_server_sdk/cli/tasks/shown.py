"""`fedflow task get`, `list` and `runs`."""

from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.members import members_of, name_of, title_of
from flow_server_sdk.cli.output import Output, aligned, showing
from flow_server_sdk.cli.sizes import size_of
from flow_server_sdk.cli.tasks.stored import KEY, wanted_task

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

_NEVER = "never started"


@click.command(short_help="Show a task and how each party is doing.")
@wanted_task
@showing
def get(wanted: str, server: str, out: Output) -> None:
    """Show TASK and how each party of its newest run is doing."""
    from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

    known = ask(server, lambda sdk: find_task(sdk, wanted))
    # Without Rich, which takes as long to import as the call itself.
    out.one(known, key=KEY, people=lambda: click.echo(_described(known)))


@click.command("list", short_help="List tasks.")
@click.option(
    "--party", default="", shell_complete=completing.parties, help="Only those of this party."
)
@click.option("--status", multiple=True, help="Only those of this status. May be repeated.")
@showing
def list_tasks(party: str, status: tuple[str, ...], server: str, out: Output) -> None:
    """List the tasks that you may see, oldest first."""
    from flow_server_sdk.cli.finding import all_tasks  # noqa: PLC0415 - --help stays quick

    wanted = {each.casefold() for each in status}
    known = [
        each
        for each in ask(server, lambda sdk: list(all_tasks(sdk, party=party)))
        if not wanted or (each["status"] or _NEVER).casefold() in wanted
    ]
    rows = [
        (
            each[KEY],
            each["name"],
            each["status"] or _NEVER,
            len(each["federate_data"]),
            each["modify_time"],
        )
        for each in known
    ]
    titles = ("task", "name", "status", "parties", "modified")
    out.many(known, key=KEY, people=lambda: out.table(titles, rows))


@click.command(short_help="List a task's starts, newest first.")
@wanted_task
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@showing
def runs(wanted: str, server: str, out: Output, *, limit: int) -> None:
    """List the starts of TASK, newest first."""

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        return data_of(sdk.task.runs(find_task(sdk, wanted)[KEY], 1, limit))["runs"]

    known = ask(server, question)
    rows = [
        (
            each["run_id"],
            each["number"],
            each["status"],
            " ".join(each["hyper_parameter"]),
            each["epochs"],
            each["create_time"],
            each["end_time"] or "",
            each["message"],
        )
        for each in known
    ]
    titles = ("run", "number", "status", "parameters", "epochs", "started", "ended", "message")
    out.many(known, key="run_id", people=lambda: out.table(titles, rows))


def _described(known: dict[str, Any]) -> str:
    data = {each["federated_id"]: each["federated_data"] for each in known["federate_data"]}
    head = [
        ("task", known[KEY]),
        ("name", known["name"]),
        ("status", known["status"] or _NEVER),
        ("template", known["template_id"]),
        ("remark", known["remark"] or ""),
        ("created", known["create_time"]),
        ("modified", known["modify_time"]),
    ]
    lines = [aligned([row for row in head if row[1]])]
    if known["party_status"] is None:
        rows: list[tuple[str, ...]] = [("party", "data"), *data.items()]
    else:
        rows = [("party", "data", "state", "epoch", "exit", "what"), *_rows(known, data)]
    lines += ["", aligned(rows)]
    if traffic := _traffic(known):
        lines += ["", aligned([("between", "sent", "received", "connections"), *traffic])]
    return "\n".join(lines)


def _rows(known: dict[str, Any], data: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        (
            title_of(each),
            data.get(name_of(each), ""),
            each["state"],
            epoch_of(each),
            "" if each["exit_code"] is None else str(each["exit_code"]),
            each["message"] or each["note"],
        )
        for each in members_of(known)
    ]


def _traffic(known: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return what each member and each of its peers have said to each other so far."""
    return [
        (
            f"{name_of(each)} and {traffic['peer']}",
            size_of(traffic["sent_bytes"]),
            size_of(traffic["received_bytes"]),
            str(traffic["connections"]),
        )
        for each in members_of(known)
        for traffic in each["traffic"]
    ]


def epoch_of(party: dict[str, Any]) -> str:
    """Return how far a party is, such as 3/10, "" where it says nothing."""
    if party["current_epoch"] is None:
        return ""
    total = party["total_epoch"]
    return f"{party['current_epoch']}" + ("" if total is None else f"/{total}")
