"""`fedflow task logs`: what the workloads wrote, merged over parties in the order of time."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask
from flow_server_sdk.cli.members import members_of, name_of
from flow_server_sdk.cli.output import JSON, Output, showing, visible
from flow_server_sdk.cli.tasks.stored import KEY, wanted_task

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk
    from flow_server_sdk.log_lines import LogLine

_AGO = re.compile(r"([0-9]+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Return the moment that is meant, 10m ago or in ISO 8601; without a zone this machine's."""
    if value is None:
        return None
    try:
        if ago := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r}: give 90s, 10m, 2h, 1d or a date in ISO 8601", ctx, param
        ) from None


@click.command(short_help="Show what the workloads wrote.")
@wanted_task
@click.option(
    "--party", "parties", multiple=True, metavar="PARTY", shell_complete=completing.members,
    help="Only this party, or coordinator. May be repeated.",
)  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over.")
@click.option("--since", callback=_moment, metavar="10m|ISO", help="Only what came since then.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Each party's last lines.")
@click.option("-t", "--timestamps", is_flag=True, help="With the time by the site's clock.")
@click.option(
    "--run", "run_id", default="", metavar="RUN", help="A run's id instead of the newest."
)
@showing
def logs(
    wanted: str,
    server: str,
    out: Output,
    *,
    parties: tuple[str, ...],
    follow: bool,
    since: datetime | None,
    tail: int | None,
    timestamps: bool,
    run_id: str,
) -> None:
    """Show what TASK's workloads wrote, each line with its party, in the order of time.

    What would steer a terminal is only shown. With --json each line is an object.
    """

    def question(sdk: "FlowServerSdk") -> None:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        task = find_task(sdk, wanted)
        names = [name_of(each) for each in members_of(task)]
        width = max(map(len, parties or names or [""]))
        # A flush per line costs more than the line, and a pipe's reader can wait for a block.
        is_live = follow or sys.stdout.isatty()
        for line in sdk.task.logs(
            task[KEY], party=parties or None, follow=follow, since=since, tail=tail, run_id=run_id
        ):
            is_json = out.form == JSON
            text = json.dumps(_document(line)) if is_json else _text(line, width, at=timestamps)
            sys.stdout.write(f"{text}\n")
            if is_live:
                sys.stdout.flush()

    try:
        ask(server, question)
    except KeyboardInterrupt:
        # Who follows a log ends it so; nothing has gone wrong.
        from flow_server_sdk.cli.exits import Exit  # noqa: PLC0415 - --help must stay quick

        raise SystemExit(Exit.INTERRUPTED) from None


def _document(line: "LogLine") -> dict[str, Any]:
    return {
        "party": line.party,
        "stream": line.stream,
        "at": line.at.isoformat(),
        "text": line.text,
        "is_cut": line.is_cut,
    }


def _text(line: "LogLine", width: int, *, at: bool) -> str:
    time = f"{line.at:%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03}Z " if at else ""
    # The site's own word, such as how much was dropped.
    mark = "* " if line.stream == "mark" else ""
    return f"{time}{visible(line.party):{width}}  {mark}{visible(line.text)}"
