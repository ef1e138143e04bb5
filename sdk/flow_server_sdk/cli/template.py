"""`fedflow template`: what to run.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli import completing, parameters
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.output import Output, aligned, showing

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

KEY = "template_id"

_wanted = click.argument("wanted", metavar="TEMPLATE", shell_complete=completing.templates)
_file = click.argument(
    "file",
    required=False,
    metavar="[FILE.yaml]",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
_fields = (
    click.option("--image-url", help="The image."),
    click.option("--workdir", help="Where the command runs."),
    click.option("--command", help="Program and arguments, as in a shell but without one."),
    click.option("--remark", help="Any text."),
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Hyper-parameter."),
    click.option("--env", "env", multiple=True, metavar="NAME=VALUE", help="Environment variable."),
    click.option(
        "--mesh", "mesh", multiple=True, metavar="PORT|FIRST-LAST",
        help="Where parties reach each other.",
    ),
)  # fmt: skip


@click.group(short_help="Create, list, update and delete templates.")
def template() -> None:
    """What to run: image, command, limits. A TEMPLATE is a name, an id, or an id's first digits."""


def _with_fields(command: Any) -> Any:
    for option in reversed(_fields):
        command = option(command)
    return command


@template.command()
@_file
@click.option("--name", help="3 to 50 characters.")
@_with_fields
@showing
def create(file: Path | None, server: str, out: Output, **given: Any) -> None:
    """Create a template from FILE.yaml, its section template, or from options.

    A coordinator, limits and all else that has parts of its own need a file.
    """
    fields = _asked(file, given)
    for option in ("name", "image_url"):
        if not fields.get(option):
            raise click.UsageError(f"give --{option.replace('_', '-')}, or FILE.yaml")
    fields = {"workdir": "", "command": [], **fields}

    def question(sdk: "FlowServerSdk") -> Any:
        return data_of(sdk.template.get(data_of(sdk.template.create(**fields))[KEY]))

    _tell(out, ask(server, question), "created")


@template.command()
@_wanted
@_file
@click.option("--name", help="A new name.")
@_with_fields
@showing
def update(wanted: str, file: Path | None, server: str, out: Output, **given: Any) -> None:
    """Replace TEMPLATE by the one in FILE.yaml, or change what options say and keep the rest."""
    changes = _asked(file, given)
    if not changes:
        raise click.UsageError("give FILE.yaml, or options that say what to change")

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_template  # noqa: PLC0415 - as below

        known = find_template(sdk, wanted)
        kept = {} if file is not None else _written(known)
        data_of(sdk.template.update(known[KEY], **{**kept, **changes}))
        return data_of(sdk.template.get(known[KEY]))

    _tell(out, ask(server, question), "updated")


@template.command()
@_wanted
@showing
def get(wanted: str, server: str, out: Output) -> None:
    """Show TEMPLATE."""
    from flow_server_sdk.cli.finding import find_template  # noqa: PLC0415 - --help stays quick

    known = ask(server, lambda sdk: find_template(sdk, wanted))
    out.one(known, key=KEY, people=lambda: click.echo(aligned(_lines(known))))


@template.command("list")
@click.option("--keyword", default="", help="Only names that hold this, whatever the case.")
@showing
def list_templates(keyword: str, server: str, out: Output) -> None:
    """List all templates, oldest first."""
    from flow_server_sdk.cli.finding import all_templates  # noqa: PLC0415 - --help stays quick

    known = ask(server, lambda sdk: list(all_templates(sdk, keyword=keyword)))
    rows = [(each[KEY], each["name"], each["image_url"], each["modify_time"]) for each in known]
    titles = ("template", "name", "image", "modified")
    out.many(known, key=KEY, people=lambda: out.table(titles, rows))


@template.command()
@_wanted
@showing
def delete(wanted: str, server: str, out: Output) -> None:
    """Forget TEMPLATE; runs that were started from it keep what they were started with."""

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_template  # noqa: PLC0415 - as above

        known = find_template(sdk, wanted)
        data_of(sdk.template.delete(known[KEY]))
        return {KEY: known[KEY], "name": known["name"], "deleted": True}

    _tell(out, ask(server, question), "deleted")


def _asked(file: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the SDK's call that are said, by a file or by options."""
    import shlex  # noqa: PLC0415 - --help must stay quick

    said = {name: value for name, value in given.items() if value not in {None, ()}}
    if file is not None:
        if said:
            raise click.UsageError("give FILE.yaml or options, not both")
        from flow_server_sdk.cli.flowfile.reading import (  # noqa: PLC0415 - the same
            read_flow_file,
        )

        return read_flow_file(file, needs=["template"]).template or {}
    if "command" in said:
        try:
            said["command"] = shlex.split(said["command"])
        except ValueError as error:
            raise click.UsageError(f"--command: {error}") from None
    if params := said.pop("params", ()):
        found = parameters.pairs("--param", params)
        said["hyper_parameter"] = [f"{name}={value}" for name, value in found.items()]
    if "env" in said:
        said["env"] = parameters.pairs("--env", said["env"])
    if "mesh" in said:
        said["mesh"] = list(said["mesh"])
    return said


def _written(known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name not in {KEY, *_OF_THE_SERVER}}


_OF_THE_SERVER = ("create_time", "modify_time")


def _tell(out: Output, known: dict[str, Any], what: str) -> None:
    sentence = f"template {printable(known['name'])} ({known[KEY]}) {what}"
    out.one(known, key=KEY, people=lambda: click.echo(sentence))


def _lines(known: dict[str, Any]) -> list[tuple[str, str]]:
    import json  # noqa: PLC0415 - --help must stay quick

    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in known.items()
        if value not in ("", None)
    ]
