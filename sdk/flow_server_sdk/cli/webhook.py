"""`fedflow webhook`: whom the server tells that a run has ended.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

from typing import TYPE_CHECKING, Any, TextIO

import click

from flow_server_sdk.cli import completing
from flow_server_sdk.cli.asking import ask, data_of
from flow_server_sdk.cli.output import Output, say, showing

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

KEY = "webhook_id"


@click.group(short_help="Create, list and delete webhooks; see their deliveries.")
def webhook() -> None:
    """Webhooks: an HTTP POST, signed, for each run that ends."""


@webhook.command()
@click.argument("url")
@click.option(
    "--task", "wanted", default="", metavar="TASK", shell_complete=completing.tasks,
    help="Of this task's runs only: a name or an id.",
)  # fmt: skip
@click.option("--all", "of_all", is_flag=True, help="Of everybody's tasks; for operators.")
@click.option(
    "--secret-file",
    type=click.File("r"),
    help="What to sign with, '-' for stdin; left out: the server makes one.",
)
@showing
def create(
    url: str, wanted: str, secret_file: TextIO | None, server: str, out: Output, *, of_all: bool
) -> None:
    """Have URL told of runs that end; write the secret to stdout, once and never again."""
    secret = "" if secret_file is None else secret_file.read().strip()

    def question(sdk: "FlowServerSdk") -> Any:
        from flow_server_sdk.cli.finding import find_task  # noqa: PLC0415 - --help stays quick

        task_id = find_task(sdk, wanted)["task_id"] if wanted else ""
        return data_of(sdk.webhook.create(url, task_id=task_id, secret=secret, of_all=of_all))

    made = ask(server, question)

    def tell() -> None:
        say(f"webhook {made[KEY]}; what it is signed with:")
        click.echo(made["secret"])

    out.one(made, key=KEY, people=tell)


@webhook.command("list")
@showing
def list_webhooks(server: str, out: Output) -> None:
    """List webhooks, oldest first."""
    found = ask(server, lambda sdk: data_of(sdk.webhook.list()))["webhooks"]
    rows = [
        (
            known[KEY],
            known["owner"],
            known["task_id"] or ("everybody's" if known["of_all"] else "the owner's"),
            known["url"],
        )
        for known in found
    ]
    titles = ("webhook", "owner", "tasks", "url")
    out.many(found, key=KEY, people=lambda: out.table(titles, rows))


@webhook.command()
@click.argument(KEY, metavar="ID")
@showing
def delete(webhook_id: str, server: str, out: Output) -> None:
    """Delete a webhook; what was still to be delivered is not."""
    ask(server, lambda sdk: data_of(sdk.webhook.delete(webhook_id)))
    gone = {KEY: webhook_id, "deleted": True}
    out.one(gone, key=KEY, people=lambda: click.echo(f"{webhook_id} is gone"))


@webhook.command()
@click.argument(KEY, metavar="ID")
@showing
def deliveries(webhook_id: str, server: str, out: Output) -> None:
    """List the newest deliveries of a webhook, newest first."""
    found = ask(server, lambda sdk: data_of(sdk.webhook.deliveries(webhook_id)))["deliveries"]
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
    titles = ("delivery", "since", "attempts", "became", "problem")
    out.many(found, key="delivery_id", people=lambda: out.table(titles, rows))


def _became(known: dict[str, object]) -> str:
    if known["delivered_at"]:
        return f"delivered {known['delivered_at']}"
    if known["given_up_at"]:
        return f"given up {known['given_up_at']}"
    return f"again {known['next_at']}"
