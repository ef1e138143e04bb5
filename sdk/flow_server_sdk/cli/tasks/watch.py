"""`fedflow task watch`: follow a task's newest run to its end."""

import click

from flow_server_sdk.cli.asking import ask
from flow_server_sdk.cli.output import Output, showing
from flow_server_sdk.cli.tasks.stored import wanted_task

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Stop waiting after this time; the run goes on.",
)

outputs_option = click.option(
    "--wait-outputs", "has_outputs", is_flag=True,
    help="Go on after the run's end until its outputs are there.",
)  # fmt: skip


@click.command(short_help="Follow a task's newest run to its end.")
@wanted_task
@timeout_option
@outputs_option
@showing
def watch(
    wanted: str, server: str, out: Output, *, timeout_s: float | None, has_outputs: bool
) -> None:
    """Follow TASK's newest run, a line per party, and end by how it ends.

    Ctrl-C asks whether to stop the task or only to stop watching. Where there is no terminal
    every change is a line; with --json every event is an object on a line of its own.
    """
    from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick
    from flow_server_sdk.cli.watching import session  # noqa: PLC0415 - the same

    task = ask(server, lambda sdk: find_task(sdk, wanted))
    session.watch(server, task, out, is_quiet=False, timeout_s=timeout_s, has_outputs=has_outputs)
