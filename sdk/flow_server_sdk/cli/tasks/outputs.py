"""`fedflow task outputs`: the files that a run has made, and how far each party's are."""

from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.members import members_of, name_of, title_of
from flow_server_sdk.cli.output import IDS, JSON, Output, showing, write_json
from flow_server_sdk.cli.sizes import size_of
from flow_server_sdk.cli.tasks.stored import KEY, wanted_task

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

_SHA256_DIGITS = 12
# Of what is coming or was skipped, a party's first so many; the JSON has what the server tells.
_SHOWN = 10

party_option = click.option(
    "--party", "parties", multiple=True, metavar="PARTY", shell_complete=completing.members,
    help="Only this party, or coordinator. May be repeated.",
)  # fmt: skip
run_option = click.option(
    "--run", "run_id", metavar="RUN", help="A run's id; left out: the newest."
)


@click.command(short_help="List the files that a run has made.")
@wanted_task
@party_option
@run_option
@showing
def outputs(
    wanted: str, server: str, out: Output, *, parties: tuple[str, ...], run_id: str | None
) -> None:
    """List the files of TASK's newest run, and what of each party is still to come or stays.

    With -o id each file is party/name, as 'task download' places it.
    """

    def question(sdk: "FlowServerSdk") -> tuple[dict[str, Any], dict[str, Any]]:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        task = find_task(sdk, wanted)
        return task, data_of(sdk.task.outputs(task[KEY], run_id=run_id, party=parties or None))

    task, data = ask(server, question)
    if out.form == JSON:
        write_json(data)
        return
    if out.form == IDS:
        for file in data["files"]:
            click.echo(path_of(file))
        return
    if data["files"]:
        out.table(("party", "name", "bytes", "sha256", "stored"), map(_file, data["files"]))
        click.echo()
    states = {} if run_id else {name_of(each): each for each in members_of(task)}
    rows = [row for one in data["parties"] for row in _rows(one, states.get(one["party"]))]
    out.table(("party", "outputs", "files", "size", ""), rows)


def path_of(file: dict[str, Any]) -> str:
    """Return where a file is brought to, below the folder that is given."""
    from flow_contract.foreign_text import printable  # noqa: PLC0415 - for these lines alone

    return printable(f"{file['party']}/{file['name']}")


def _file(file: dict[str, Any]) -> tuple[object, ...]:
    sha256 = file["sha256"][:_SHA256_DIGITS]
    return file["party"], file["name"], file["bytes"], sha256, file["stored_at"] or ""


def _rows(one: dict[str, Any], status: dict[str, Any] | None) -> list[tuple[object, ...]]:
    """Return a party's line, and one for each thing that there is to say of its files."""
    from flow_server_sdk.cli.tasks.arriving import has_ended, never_ran  # noqa: PLC0415 - quick

    if status is not None and never_ran(status):
        state = "none: it never ran"
    elif one["complete"]:
        state = "complete"
    elif one["coming"]:
        state = "coming"
    else:
        state = "awaited" if status is None or has_ended(status) else "not yet"
    title = one["party"] if status is None else title_of(status)
    first, *others = _words(one) or [""]
    return [
        (title, state, one["files"], size_of(one["bytes"]), first),
        *(("", "", "", "", text) for text in others),
    ]


def _words(one: dict[str, Any]) -> list[str]:
    words = [
        f"{each['name']}: {size_of(each['stored_bytes'])} of {size_of(each['bytes'])}"
        for each in one["coming"][:_SHOWN]
    ]
    if len(one["coming"]) > _SHOWN:
        words.append(f"and {len(one['coming']) - _SHOWN} more on their way")
    if one["withheld"]:
        words.append(f"withheld by the site's rule {one['withheld']}")
    shown = one["skipped"][:_SHOWN]
    words += [f"skipped {each['name']}: {each['why']}" for each in shown]
    if one["skipped_count"] > len(shown):
        words.append(f"and {one['skipped_count'] - len(shown)} more skipped")
    return words
