"""`fedflow task download`: bring a run's files down, each whole or not at all."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.exits import CommandFailed, Exit
from flow_server_sdk.cli.output import IDS, JSON, Output, say, showing, write_json
from flow_server_sdk.cli.sizes import size_of
from flow_server_sdk.cli.tasks.outputs import party_option, path_of, run_option
from flow_server_sdk.cli.tasks.stored import KEY, wanted_task
from flow_server_sdk.cli.tasks.watch import timeout_option

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

# Nothing tells a client that outputs are complete; a look costs the server two small queries.
_LOOK_S = 1.0


@click.command(short_help="Bring the files of a run down.")
@wanted_task
@click.option(
    "--to", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Each file comes to DIR/<party>/<name>.",
)  # fmt: skip
@party_option
@click.option(
    "--name", "names", multiple=True, shell_complete=completing.outputs,
    help="Only this file. May be repeated.",
)  # fmt: skip
@run_option
@click.option("--overwrite", is_flag=True, help="Replace other files of these names.")
@click.option("--wait", "is_awaited", is_flag=True, help="First wait until nothing more comes.")
@timeout_option
@showing
def download(
    wanted: str,
    server: str,
    out: Output,
    *,
    to: Path,
    parties: tuple[str, ...],
    names: tuple[str, ...],
    run_id: str | None,
    overwrite: bool,
    is_awaited: bool,
    timeout_s: float | None,
) -> None:
    """Bring the files of TASK's newest run down to DIR; the same command goes on after a cut.

    Each file is checked, and is there whole or not at all. Where more is to come it ends with
    15, unless names are given; with --wait it waits for the rest first.
    """
    if timeout_s is not None and not is_awaited:
        raise click.UsageError("--timeout: is for --wait")

    def question(sdk: "FlowServerSdk") -> tuple[dict[str, Any], list[str]]:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick
        from flow_server_sdk.cli.tasks.bars import Progress  # noqa: PLC0415 - the same

        task_id = find_task(sdk, wanted)[KEY]
        give_up_at = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            listed = data_of(sdk.task.outputs(task_id, run_id=run_id, party=parties or None))
            coming = [one["party"] for one in listed["parties"] if not one["complete"]]
            is_late = give_up_at is not None and time.monotonic() >= give_up_at
            if not is_awaited or not coming or is_late:
                break
            time.sleep(_LOOK_S)
        files = [file for file in listed["files"] if not names or file["name"] in names]
        with Progress(files, out) as progress:
            answer = sdk.task.download(
                task_id, to, party=parties or None, name=names or None, run_id=listed["run_id"],
                overwrite=overwrite, on_progress=progress.told,
            )  # fmt: skip
        answer["ret_msg"] = answer["ret_msg"].replace("overwrite=True", "--overwrite")
        return data_of(answer), coming

    try:
        brought, coming = ask(server, question)
    except OSError as error:
        raise CommandFailed(f"--to: {error}", Exit.ERROR) from None
    _tell(brought, out)
    if coming and (is_awaited or not names):
        raise CommandFailed(
            f"more is to come from {', '.join(coming)}; the same command later, or with --wait, "
            "brings the rest",
            Exit.STILL_RUNNING,
        )


def _tell(brought: dict[str, Any], out: Output) -> None:
    if out.form == JSON:
        write_json(brought)
        return
    for file in brought["files"]:
        path = path_of(file)
        click.echo(path if out.form == IDS else f"{path}  {size_of(file['bytes'])}")
    if out.form != IDS:
        say(_summary(brought["files"]))


def _summary(files: Iterable[dict[str, Any]]) -> str:
    sizes = [file["bytes"] for file in files]
    if not sizes:
        return "there are no files"
    return f"{len(sizes)} file{'s' if len(sizes) > 1 else ''}, {size_of(sum(sizes))}"
