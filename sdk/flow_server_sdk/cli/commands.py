"""The table of commands, and a group that imports a command only when it is run.

Server and agent stand in the table by name: the client's code never imports theirs, and a
machine that has only one of them installed still has a working `fedflow`.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import click

from flow_server_sdk.cli.lifeline import end_with_parent


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One command: where it is, what `--help` says of it, which extra it needs."""

    target: str
    help: str
    extra: str | None = None


COMMANDS: dict[str, Entry] = {
    "agent": Entry(
        target="party_agent.cli:agent",
        help="Run a party's agent: dial the server, run its share of each run.",
        extra="agent",
    ),
    "audit": Entry(
        target="flow_server_sdk.cli.audit:audit",
        help="Read the audit log; verify that nobody changed it.",
    ),
    "db": Entry(
        target="flow_server.cli:db",
        help="Look at and migrate the server's database.",
        extra="server",
    ),
    "dev": Entry(
        target="flow_server_sdk.cli.dev:dev",
        help="Run a server and its parties' agents in this terminal.",
    ),
    "login": Entry(
        target="flow_server_sdk.cli.login:login",
        help="Keep a token and a CA for a server.",
    ),
    "logout": Entry(
        target="flow_server_sdk.cli.login:logout",
        help="Forget a server's token.",
    ),
    "party": Entry(
        target="flow_server_sdk.cli.party:party",
        help="Add, list and revoke parties; drain and resume one.",
    ),
    "server": Entry(
        target="flow_server.cli:server",
        help="Run a flow server: keep templates and tasks, drive the agents.",
        extra="server",
    ),
    "token": Entry(
        target="flow_server_sdk.cli.token:token",
        help="Create, list and revoke API tokens.",
    ),
    "user": Entry(
        target="flow_server_sdk.cli.user:user",
        help="Add and list users; change a role; disable and enable one.",
    ),
    "webhook": Entry(
        target="flow_server_sdk.cli.webhook:webhook",
        help="Create, list and delete webhooks; see their deliveries.",
    ),
    "whoami": Entry(
        target="flow_server_sdk.cli.login:whoami",
        help="Say who a server takes you for, and what you may do there.",
    ),
}

# A module of ours that is missing is a defect, not an extra that is not installed.
_OURS = {"flow_contract", "flow_wire", "flow_server_sdk", "flow_server", "party_agent"}


class LazyGroup(click.Group):
    """A group over a table of entries."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        del ctx
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, None for a name that is not in the table."""
        del ctx
        entry = self._entries.get(cmd_name)
        return None if entry is None else _load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, which says enough without an import."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self._entries[name].help) for name in self.list_commands(ctx)]
            )

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a library that it needs and lacks is named with its extra."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            entry = self._entries.get(ctx.invoked_subcommand or "")
            if entry is None:
                raise
            raise _explained(error, entry) from error


def _load(entry: Entry) -> click.Command:
    module, _, name = entry.target.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise _explained(error, entry) from error
    return command


def _explained(error: ModuleNotFoundError, entry: Entry) -> Exception:
    package = (error.name or "").partition(".")[0]
    if entry.extra is None or package in _OURS:
        return error
    return click.ClickException(f"{package} is not installed; install fedflow[{entry.extra}]")


def _version() -> str:
    try:
        return metadata.version("fedflow")
    except metadata.PackageNotFoundError:
        return "not installed as a package"


def _show_version(ctx: click.Context, _: click.Parameter, asked: object) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"fedflow {_version()}")
        ctx.exit()


@click.group(cls=LazyGroup, entries=COMMANDS)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.option("--die-with-parent", type=int, metavar="PID", hidden=True)
def main(die_with_parent: int | None) -> None:
    """Federated flow: one start runs a container at every party, next to its own data."""
    if die_with_parent is not None:
        end_with_parent(die_with_parent)
