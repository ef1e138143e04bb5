"""`fedflow task metrics`: what the workloads measured, as curves, JSON, CSV or a picture."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.output import JSON, Output, say, showing, write_json
from flow_server_sdk.cli.tasks.stored import KEY, wanted_task

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

_COLUMNS = ("party", "name", "step", "value", "time")
_HEIGHT = 15
_PIPE_WIDTH = 80
_WIDEST = 160


@click.command(short_help="Draw what the workloads measured.")
@wanted_task
@click.option("--name", "names", multiple=True, help="Only this metric. May be repeated.")
@click.option(
    "--party", "parties", multiple=True, metavar="PARTY", shell_complete=completing.members,
    help="Only this party, or coordinator. May be repeated.",
)  # fmt: skip
@click.option("--run", "run_id", metavar="RUN", help="A run's id; left out: the newest.")
@click.option("--csv", "as_csv", is_flag=True, help="Write the points as CSV.")
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write a picture; needs fedflow[plots].",
)  # fmt: skip
@showing
def metrics(
    wanted: str,
    server: str,
    out: Output,
    *,
    names: tuple[str, ...],
    parties: tuple[str, ...],
    run_id: str | None,
    as_csv: bool,
    png: Path | None,
) -> None:
    """Draw the curves that TASK's newest run has reported so far, a colour per party."""

    def question(sdk: "FlowServerSdk") -> tuple[dict[str, Any], dict[str, Any]]:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        task = find_task(sdk, wanted)
        one = parties[0] if len(parties) == 1 else None
        name = names[0] if len(names) == 1 else None
        return task, data_of(sdk.task.metrics(task[KEY], party=one, name=name, run_id=run_id))

    task, data = ask(server, question)
    if names or parties:
        points = [
            point
            for point in data["points"]
            if (not names or point["name"] in names) and (not parties or point["party"] in parties)
        ]
        data = {**data, "points": points}
    if out.form == JSON:
        write_json(data)
    elif as_csv:
        _write_csv(data["points"])
    else:
        _draw(data["points"], png, out, title=task["name"])
    if out.form != JSON:
        _tell_missing(data)


def _tell_missing(data: dict[str, Any]) -> None:
    lost = {party: count for party, count in data["dropped"].items() if count}
    if lost:
        say("never came: " + ", ".join(f"{count} of {party}" for party, count in lost.items()))
    for party, rule in data["withheld"].items():
        say(f"{party} keeps its metrics to itself ({rule})")


def _write_csv(points: list[dict[str, Any]]) -> None:
    import csv  # noqa: PLC0415 - --help must stay quick

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([point[column] for column in _COLUMNS] for point in points)


def _draw(points: list[dict[str, Any]], png: Path | None, out: Output, *, title: str) -> None:
    from flow_server_sdk.cli.plots import png as pictures  # noqa: PLC0415 - --help stays quick
    from flow_server_sdk.cli.plots.braille import plot  # noqa: PLC0415 - the same
    from flow_server_sdk.cli.plots.series import curves  # noqa: PLC0415 - the same

    found = curves(points)
    if not found:
        say("nothing was measured, or nothing of this name or party")
        return
    if png is not None:
        pictures.write(png, found, title=title)
        say(f"written to {png}")
        return
    from rich.text import Text  # noqa: PLC0415 - the same

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
    console = out.console()
    for name, lines in found.items():
        for line in plot(name, lines, width=min(width - 1, _WIDEST), height=_HEIGHT):
            console.print(Text.assemble(*line), soft_wrap=True)
