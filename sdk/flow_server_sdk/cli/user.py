"""`fedflow user`: who may use a server, and as what.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json
from typing import TYPE_CHECKING, Any

import click

from flow_server_sdk.cli.asking import PAGE, ask, asking, data_of, show_table, tell

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

# As flow_contract.access has them; written out, for --help imports nothing.
ROLES = ["viewer", "researcher", "operator", "admin"]

_role = click.Choice(ROLES)


@click.group(short_help="Add and list users; change a role; disable and enable one.")
def user() -> None:
    """Who may use the server.

    \b
    viewer      sees everything
    researcher  makes templates and tasks and runs its own; sees its own
    operator    sees everything; adds, drains and revokes parties; stops runs; reads the audit log
    admin       everything, users included
    """  # noqa: D301 - click's mark for lines that stay as they are


@user.command()
@click.argument("name")
@click.option("--role", type=_role, required=True)
@asking
def add(name: str, role: str, server: str, *, as_json: bool) -> None:
    """Add user NAME, who can do nothing before there is a token: fedflow token create --user."""
    ask(server, lambda sdk: data_of(sdk.user.add(name, role)))
    tell({"name": name, "role": role}, f"{name} is {role}", as_json=as_json)


@user.command("list")
@asking
def list_users(server: str, *, as_json: bool) -> None:
    """List all users of this server's own."""
    users = ask(server, _all_users)
    if as_json:
        click.echo(json.dumps(users))
        return
    rows = [
        (known["name"], known["role"], "yes" if known["disabled"] else "no", known["create_time"])
        for known in users
    ]
    show_table(("user", "role", "disabled", "since"), rows)


@user.command()
@click.argument("name")
@click.argument("role", type=_role)
@asking
def role(name: str, role: str, server: str, *, as_json: bool) -> None:
    """Give user NAME another ROLE; its tokens follow at once."""
    ask(server, lambda sdk: data_of(sdk.user.set_role(name, role)))
    tell({"name": name, "role": role}, f"{name} is {role}", as_json=as_json)


@user.command()
@click.argument("name")
@asking
def disable(name: str, server: str, *, as_json: bool) -> None:
    """Let user NAME in no more; what NAME owns and what runs there stays."""
    ask(server, lambda sdk: data_of(sdk.user.disable(name)))
    tell({"name": name, "disabled": True}, f"{name} is disabled", as_json=as_json)


@user.command()
@click.argument("name")
@asking
def enable(name: str, server: str, *, as_json: bool) -> None:
    """Let user NAME in again, by the tokens that have neither expired nor been revoked."""
    ask(server, lambda sdk: data_of(sdk.user.enable(name)))
    tell({"name": name, "disabled": False}, f"{name} is enabled", as_json=as_json)


def _all_users(sdk: "FlowServerSdk") -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = []
    page = 1
    while found := data_of(sdk.user.list(page, PAGE))["users"]:
        users += found
        page += 1
    return users
