"""What a shell may complete: names of tasks and templates, ids of parties, asked of the server.

Whoever presses a key waits for it, so there is little time, and no answer is no complaint.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from flow_contract.coordination import COORDINATOR_NAME
from flow_contract.foreign_text import printable
from flow_server_sdk.cli.asking import data_of, split

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

TIMEOUT_S = 1.0
_MOST = 200


def tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a task's name, or its id once it has begun with one."""
    del param

    def question(sdk: "FlowServerSdk") -> Iterable[tuple[str, str, str]]:
        found = data_of(sdk.task.list(1, _MOST))["tasks"]
        return [
            (each["name"], each["task_id"], each["status"] or "never started") for each in found
        ]

    return _named(_answers(ctx, question), incomplete)


def tasks_or_files(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a task's name or id; where none fits, a file."""
    return tasks(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


def templates(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a template's name, or its id once it has begun with one."""
    del param

    def question(sdk: "FlowServerSdk") -> Iterable[tuple[str, str, str]]:
        found = data_of(sdk.template.list("", 1, _MOST))["templates"]
        return [(each["name"], each["template_id"], each["image_url"]) for each in found]

    return _named(_answers(ctx, question), incomplete)


def parties(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a party's id."""
    del param

    def question(sdk: "FlowServerSdk") -> Iterable[tuple[str, str, str]]:
        found = data_of(sdk.party.list(1, _MOST))["parties"]
        return [(each["federated_id"], "", each["name"]) for each in found]

    return _named(_answers(ctx, question), incomplete)


def members(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a party's id, or `coordinator`."""
    found = parties(ctx, param, incomplete)
    if COORDINATOR_NAME.startswith(incomplete):
        found.append(CompletionItem(COORDINATOR_NAME, help="the run's, wherever it is"))
    return found


def outputs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a file that the task's newest run has made."""
    del param

    def question(sdk: "FlowServerSdk") -> Iterable[tuple[str, str, str]]:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - only here

        task_id = find_task(sdk, ctx.params["wanted"])["task_id"]
        files = data_of(sdk.task.outputs(task_id))["files"]
        return [(name, "", "") for name in sorted({file["name"] for file in files})[:_MOST]]

    return _named(_answers(ctx, question), incomplete)


def _named(found: Iterable[tuple[str, str, str]], incomplete: str) -> list[CompletionItem]:
    items = []
    for name, known_id, about in found:
        # A name that a shell would take apart, or that would steer a terminal, has its id.
        is_plain = name.isprintable() and not any(letter.isspace() for letter in name)
        value = name if is_plain else known_id
        if value and value.startswith(incomplete):
            items.append(CompletionItem(value, help=printable(about)))
        elif incomplete and known_id.startswith(incomplete):
            items.append(CompletionItem(known_id, help=printable(name)))
    return items


def _answers(
    ctx: click.Context, question: "Callable[[FlowServerSdk], Iterable[tuple[str, str, str]]]"
) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []

    def ask() -> None:
        from flow_contract.errors import FlowError  # noqa: PLC0415 - --help must stay quick
        from flow_server_sdk.client import FlowServerSdk  # noqa: PLC0415 - the same

        failures = (FlowError, ValueError, TypeError, OSError, click.ClickException)
        with (
            contextlib.suppress(*failures),
            FlowServerSdk(*split(_server(ctx)), timeout_s=TIMEOUT_S) as sdk,
        ):
            found.extend(question(sdk))

    # What a dead host keeps waiting must not keep the shell waiting.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(TIMEOUT_S)
    return list(found)


def _server(ctx: click.Context) -> str:
    option = next((each for each in ctx.command.params if each.name == "server"), None)
    if option is None:
        return ""
    return str(ctx.params.get("server") or option.value_from_envvar(ctx) or option.get_default(ctx))
