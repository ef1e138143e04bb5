"""`fedflow task create`, `update`, `delete` and `stop`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli import completing, parameters
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.output import Output, say, showing

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

KEY = "task_id"

wanted_task = click.argument("wanted", metavar="TASK", shell_complete=completing.tasks)
_file = click.argument(
    "file",
    required=False,
    metavar="[FILE.yaml]",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
_template = click.option(
    "--template", "template", metavar="TEMPLATE", shell_complete=completing.templates,
    help="Name or id of the template.",
)  # fmt: skip
_parties = click.option(
    "--party", "parties", multiple=True, metavar="PARTY[=DATA]",
    shell_complete=completing.parties, help="A party and the name of its data. May be repeated.",
)  # fmt: skip
_remark = click.option("--remark", help="Any text.")


@click.command(short_help="Create a task: a template, parties and their data.")
@_file
@click.option("--name", help="3 to 50 characters.")
@_template
@_parties
@_remark
@showing
def create(
    file: Path | None, server: str, out: Output, parties: tuple[str, ...], **given: str | None
) -> None:
    """Create a task from FILE.yaml, its section task, or from options."""
    asked = _asked(file, parties, given)
    for option in ("name", "template"):
        if not asked[option]:
            raise click.UsageError(f"give --{option}, or FILE.yaml")

    def question(sdk: "FlowServerSdk") -> Any:
        made = data_of(sdk.task.create(**_arguments(sdk, asked)))
        return data_of(sdk.task.get(made[KEY]))

    _tell(out, ask(server, question), "created")


@click.command(short_help="Change a task; the runs there are stay as they are.")
@wanted_task
@_file
@click.option("--name", help="A new name.")
@_template
@_parties
@_remark
@showing
def update(
    wanted: str,
    file: Path | None,
    server: str,
    out: Output,
    parties: tuple[str, ...],
    **given: str | None,
) -> None:
    """Change TASK to what FILE.yaml or the options say; parties are replaced all together."""
    asked = _asked(file, parties, given)
    if not any(value is not None for value in asked.values()):
        raise click.UsageError("give FILE.yaml, or options that say what to change")

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        known = find_task(sdk, wanted)
        kept = {name: known[name] for name in ("name", "template_id", "remark", "federate_data")}
        changes = {
            name: value for name, value in _arguments(sdk, asked).items() if value is not None
        }
        data_of(sdk.task.update(known[KEY], **{**kept, **changes}))
        return data_of(sdk.task.get(known[KEY]))

    _tell(out, ask(server, question), "updated")


@click.command(short_help="Forget a task and its runs.")
@wanted_task
@showing
def delete(wanted: str, server: str, out: Output) -> None:
    """Forget TASK and its runs; one that is active must be stopped first."""

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        known = find_task(sdk, wanted)
        data_of(sdk.task.delete(known[KEY]))
        return {KEY: known[KEY], "name": known["name"], "deleted": True}

    _tell(out, ask(server, question), "deleted")


@click.command(short_help="Stop a task at every party.")
@wanted_task
@click.option("--force", is_flag=True, help="Don't wait for parties that are lost.")
@showing
def stop(wanted: str, server: str, out: Output, *, force: bool) -> None:
    """Ask every party of TASK to stop, and return before they have: task watch shows when."""

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        known = find_task(sdk, wanted)
        answer = sdk.task.stop(known[KEY], force=force)
        lost = (data_of(answer) or {}).get("lost_parties", [])
        if lost:
            say(answer["ret_msg"].partition("; ")[2].replace("force=True", "--force"))
        return {KEY: known[KEY], "name": known["name"], "stopping": True, "lost_parties": lost}

    _tell(out, ask(server, question), "is stopping")


def _asked(
    file: Path | None, parties: tuple[str, ...], given: dict[str, str | None]
) -> dict[str, Any]:
    """Return what is said: name, template, remark and federate_data, None for the rest."""
    federate_data = parameters.parties(parties) if parties else None
    if file is None:
        return {**given, "federate_data": federate_data}
    if parties or any(given.values()):
        raise click.UsageError("give FILE.yaml or options, not both")
    from flow_server_sdk.cli.flowfile.reading import (  # noqa: PLC0415 - --help must stay quick
        read_flow_file,
    )

    read = read_flow_file(file, needs=["task"])
    part = read.task
    if part is None:
        raise click.UsageError(f"{file}: has no section task")
    own = None if read.template is None else read.template["name"]
    return {
        "name": part.name,
        "template": part.template or own,
        "remark": part.remark,
        "federate_data": part.federate_data,
    }


def _arguments(sdk: "FlowServerSdk", asked: dict[str, Any]) -> dict[str, Any]:
    from flow_server_sdk.cli.finding import find_template  # noqa: PLC0415 - --help stays quick

    wanted = asked["template"]
    return {
        "name": asked["name"],
        "template_id": None if wanted is None else find_template(sdk, wanted)["template_id"],
        "remark": asked["remark"],
        "federate_data": asked["federate_data"],
    }


def _tell(out: Output, known: dict[str, Any], what: str) -> None:
    sentence = f"task {printable(known['name'])} ({known[KEY]}) {what}"
    out.one(known, key=KEY, people=lambda: click.echo(sentence))
