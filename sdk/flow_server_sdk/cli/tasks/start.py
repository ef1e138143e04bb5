"""`fedflow task start`: a task by name or id, or what a YAML file says, started once."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli import completing, parameters
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.output import IDS, JSON, Output, say, showing, write_json
from flow_server_sdk.cli.tasks.stored import KEY
from flow_server_sdk.cli.tasks.watch import outputs_option, timeout_option

if TYPE_CHECKING:
    from flow_server_sdk.cli.flowfile.reading import FlowFile
    from flow_server_sdk.client import FlowServerSdk

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the command line and the file say together."""

    wanted: str
    file: "FlowFile | None"
    params: dict[str, str]
    epochs: int | None
    enable_smpc: bool
    request_id: str | None


@click.command(short_help="Start a task, or what a YAML file says.")
@click.argument("wanted", metavar="TASK|FILE.yaml", shell_complete=completing.tasks_or_files)
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE",
    help="A hyper-parameter in place of the template's or the file's; epochs is the number of "
    "epochs. May be repeated.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=0), help="How many; left out: 10.")
@click.option("--smpc", "enable_smpc", is_flag=True, help="With secure multi-party computation.")
@click.option(
    "--request-id", metavar="ID",
    help="Name this start: a second call with the same ID is answered with the first one's run.",
)  # fmt: skip
@click.option("--watch", "is_watched", is_flag=True, help="Follow the run to its end.")
@click.option("--wait", "is_awaited", is_flag=True, help="Wait for its end, and show nothing.")
@timeout_option
@outputs_option
@showing
def start(
    wanted: str,
    server: str,
    out: Output,
    *,
    params: tuple[str, ...],
    epochs: int | None,
    enable_smpc: bool,
    request_id: str | None,
    is_watched: bool,
    is_awaited: bool,
    timeout_s: float | None,
    has_outputs: bool,
) -> None:
    """Start TASK, or the task that FILE.yaml describes.

    The file's template and task are created, or updated where they differ, by their names. A
    call that was cut off can be repeated as it is: the run is started once.
    """
    if not (is_watched or is_awaited):
        if timeout_s is not None:
            raise click.UsageError("--timeout: is for --wait and --watch")
        if has_outputs:
            raise click.UsageError("--wait-outputs: is for --wait and --watch")
    given = parameters.pairs("--param", params)
    epochs = parameters.epochs_of(given, epochs)
    file = _file(wanted)
    if file is not None:
        epochs = file.start.epochs if epochs is None else epochs
        enable_smpc = enable_smpc or file.start.enable_smpc
    asked = _Asked(
        wanted=wanted,
        file=file,
        params=given,
        epochs=epochs,
        enable_smpc=enable_smpc,
        request_id=request_id,
    )
    done = ask(server, lambda sdk: _started(sdk, asked))
    _tell(done, out, is_streaming=is_watched or is_awaited)
    if is_watched or is_awaited:
        from flow_server_sdk.cli.watching import session  # noqa: PLC0415 - --help stays quick

        session.watch(
            server,
            done["task"],
            out,
            is_quiet=not is_watched,
            timeout_s=timeout_s,
            has_outputs=has_outputs,
        )


def _file(wanted: str) -> "FlowFile | None":
    if not wanted.endswith(_SUFFIXES):
        return None
    from flow_server_sdk.cli.flowfile.reading import (  # noqa: PLC0415 - --help must stay quick
        read_flow_file,
    )

    return read_flow_file(Path(wanted), needs=["task"])


def _started(sdk: "FlowServerSdk", asked: _Asked) -> dict[str, Any]:
    template, task = None, None
    if asked.file is not None:
        from flow_server_sdk.cli.tasks.applying import apply_file  # noqa: PLC0415 - as below

        for_template, for_task = apply_file(sdk, asked.file)
        template = None if for_template is None else _done(for_template, "template_id")
        task = _done(for_task, KEY)
    else:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        known = find_task(sdk, asked.wanted)
        task = {KEY: known[KEY], "name": known["name"], "action": None}
    run_id, is_repeat = _start_once(sdk, task[KEY], asked)
    return {"template": template, "task": task, "run_id": run_id, "is_repeat": is_repeat}


def _start_once(sdk: "FlowServerSdk", task_id: str, asked: _Asked) -> tuple[str, bool]:
    """Start the task; return its run, and whether this took up a call that was cut off."""
    from flow_contract.errors import FlowError, Unavailable  # noqa: PLC0415 - --help stays quick
    from flow_server_sdk.cli.exits import CommandFailed, Exit  # noqa: PLC0415 - the same
    from flow_server_sdk.cli.tasks.pending import PendingStart  # noqa: PLC0415 - the same

    arguments: dict[str, Any] = {
        "epochs": asked.epochs,
        "enable_smpc": asked.enable_smpc,
        "hyper_parameter": _parameters(sdk, task_id, asked),
    }
    # All that the run will be: another template under the same name is another start.
    what = [task_id, arguments, None if asked.file is None else asdict(asked.file)]
    pending = PendingStart(sdk.address, what)
    if asked.request_id is None:
        pending.begin()
    try:
        answer = sdk.task.start(
            task_id, **arguments, request_id=asked.request_id or pending.request_id
        )
    except Unavailable as error:
        raise CommandFailed(
            f"{printable(error.message)}. Whether the run was started is not known; repeat the "
            "same command: it is started once",
            Exit.UNREACHABLE,
        ) from None
    except FlowError:
        pending.end()
        raise
    pending.end()
    return data_of(answer)["run_id"], asked.request_id is None and pending.is_repeat


def _parameters(sdk: "FlowServerSdk", task_id: str, asked: _Asked) -> list[str] | None:
    """Return the template's hyper-parameters with the file's and the options' in their place.

    None where nothing takes their place.
    """
    from_file = (asked.file.start.hyper_parameter if asked.file is not None else None) or []
    if not from_file and not asked.params:
        return None
    task = data_of(sdk.task.get(task_id))
    own = data_of(sdk.template.get(task["template_id"]))["hyper_parameter"]
    return parameters.overlaid(parameters.overlaid(own, _as_dict(from_file)), asked.params)


def _done(applied: Any, key: str) -> dict[str, Any]:
    return {key: applied.id, "name": applied.name, "action": applied.action}


def _as_dict(pairs: list[str]) -> dict[str, str]:
    split = (entry.partition("=") for entry in pairs)
    return {name.strip(): value for name, _, value in split}


def _tell(done: dict[str, Any], out: Output, *, is_streaming: bool) -> None:
    if out.form == JSON:
        write_json({"event": "started", **done} if is_streaming else done)
        return
    if out.form == IDS:
        click.echo(done["task"][KEY])
    tell = say if out.form == IDS else _echo
    for kind in ("template", "task"):
        thing = done[kind]
        if thing is not None and thing["action"] is not None:
            tell(f"{kind} {thing['name']} ({thing[f'{kind}_id']}) {thing['action']}")
    note = ", the one that an earlier call had asked for" if done["is_repeat"] else ""
    tell(f"task {done['task']['name']} started: run {done['run_id']}{note}")


def _echo(sentence: str) -> None:
    click.echo(printable(sentence))
