"""`fedflow` and the table of its commands.

Server and agent stand in the table by name: the client's code never imports theirs, and a
machine that has only one of them installed still has a working `fedflow`.
"""

import click

from flow_server_sdk.cli.lazy import Entry, LazyGroup

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
    "completion": Entry(
        target="flow_server_sdk.cli.completion:completion",
        help="Complete commands, names and ids in your shell.",
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
    "task": Entry(
        target="flow_server_sdk.cli.task:task",
        help="Create, start, watch and stop tasks; logs, metrics, outputs.",
    ),
    "template": Entry(
        target="flow_server_sdk.cli.template:template",
        help="Create, list, update and delete templates.",
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


def _version() -> str:
    # A third of what `--help` would take otherwise.
    from importlib import metadata  # noqa: PLC0415 - only who asks for the version needs it

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
        from flow_server_sdk.cli.lifeline import (  # noqa: PLC0415 - --help must stay quick
            end_with_parent,
        )

        end_with_parent(die_with_parent)
