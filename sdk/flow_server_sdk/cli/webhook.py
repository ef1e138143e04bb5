"""`fedflow webhook`: whom the server tells that a run has ended.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json
from typing import TextIO

import click

from flow_server_sdk.cli.asking import ask, asking, data_of, show_table, tell


@click.group(short_help="Create, list and delete webhooks.")
def webhook() -> None:
    """Webhooks: an HTTP POST, signed, for each run that ends."""


@webhook.command()
@click.argument("url")
@click.option("--task", "task_id", default="", metavar="ID", help="Of this task's runs only.")
@click.option("--all", "of_all", is_flag=True, help="Of everybody's tasks; for operators.")
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="What to sign with, '-' for stdin; left out: the server makes one.",
)
@asking
def create(
    url: str,
    task_id: str,
    secret_file: TextIO | None,
    server: str,
    *,
    of_all: bool,
    as_json: bool,
) -> None:
    """Have URL told of runs that end; write the secret to stdout, once and never again."""
    secret = "" if secret_file is None else secret_file.read().strip()
    made = ask(
        server,
        lambda sdk: data_of(sdk.webhook.create(url, task_id=task_id, secret=secret, of_all=of_all)),
    )
    if not as_json:
        click.echo(f"webhook {made['webhook_id']}; what it is signed with:", err=True)
    tell(made, made["secret"], as_json=as_json)


@webhook.command("list")
@asking
def list_webhooks(server: str, *, as_json: bool) -> None:
    """List webhooks, oldest first."""
    found = ask(server, lambda sdk: data_of(sdk.webhook.list()))["webhooks"]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        (
            known["webhook_id"],
            known["owner"],
            known["task_id"] or ("everybody's" if known["of_all"] else "the owner's"),
            known["url"],
        )
        for known in found
    ]
    show_table(("webhook", "owner", "tasks", "url"), rows)


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@asking
def delete(webhook_id: str, server: str, *, as_json: bool) -> None:
    """Delete a webhook; what was still to be delivered is not."""
    ask(server, lambda sdk: data_of(sdk.webhook.delete(webhook_id)))
    tell({"webhook_id": webhook_id, "deleted": True}, f"{webhook_id} is gone", as_json=as_json)


@webhook.command()
@click.argument("webhook_id", metavar="ID")
@asking
def deliveries(webhook_id: str, server: str, *, as_json: bool) -> None:
    """List the newest deliveries of a webhook, newest first."""
    found = ask(server, lambda sdk: data_of(sdk.webhook.deliveries(webhook_id)))["deliveries"]
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = [
        (
            known["delivery_id"],
            known["created_at"],
            known["attempts"],
            _became(known),
            known["problem"],
        )
        for known in found
    ]
    show_table(("delivery", "since", "attempts", "became", "problem"), rows)


def _became(known: dict[str, object]) -> str:
    if known["delivered_at"]:
        return f"delivered {known['delivered_at']}"
    if known["given_up_at"]:
        return f"given up {known['given_up_at']}"
    return f"again {known['next_at']}"
