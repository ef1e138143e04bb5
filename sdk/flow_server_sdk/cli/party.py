"""`fedflow party`: the sites that a server knows, who they are, and whether they take new work.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json
from typing import TYPE_CHECKING, Any

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.asking import PAGE, ask, asking, data_of, show_table

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk


@click.group(short_help="Add, list and revoke parties; drain and resume one.")
def party() -> None:
    """Add, list and revoke parties; let one take no new work, or take it again."""


@party.command("list")
@asking
def list_parties(server: str, *, as_json: bool) -> None:
    """List all parties that have ever connected."""
    parties = ask(server, _all_parties)
    if as_json:
        click.echo(json.dumps(parties))
    else:
        _show(parties)


@party.command()
@click.argument("party_id", metavar="ID")
@click.option(
    "--valid-hours",
    type=click.IntRange(1, 168),
    default=24,
    show_default=True,
    help="How long the token can be used.",
)
@asking
def add(party_id: str, server: str, *, valid_hours: int, as_json: bool) -> None:
    """Print a one-time token with which party ID's agent gets its certificate.

    Only the token goes to standard output, so that it can be piped on. Whoever has it can become
    party ID: send it over a channel that you trust.
    """
    known = ask(server, lambda sdk: data_of(sdk.party.add(party_id, valid_hours=valid_hours)))
    if as_json:
        click.echo(json.dumps(known))
        return
    click.echo(known["enrolment_token"])
    click.echo(
        f"until {known['expires_at']}, once; at the site: fedflow agent enrol --server {server} "
        "--token -",
        err=True,
    )


@party.command()
@click.argument("party_id", metavar="ID")
@asking
def revoke(party_id: str, server: str, *, as_json: bool) -> None:
    """End party ID's connection now and refuse its certificates and tokens for good."""
    ask(server, lambda sdk: data_of(sdk.party.revoke(party_id)))
    if as_json:
        click.echo(json.dumps({"federated_id": party_id, "revoked": True}))
    else:
        click.echo(f"{printable(party_id)} is revoked; 'fedflow party add' lets it in again")


@party.command()
@click.argument("party_id", metavar="ID")
@asking
def drain(party_id: str, server: str, *, as_json: bool) -> None:
    """Let party ID take no new work; what runs there goes on."""

    def question(sdk: "FlowServerSdk") -> Any:
        data_of(sdk.party.drain(party_id))
        return data_of(sdk.party.get(party_id))

    _tell(ask(server, question), as_json=as_json)


@party.command()
@click.argument("party_id", metavar="ID")
@asking
def resume(party_id: str, server: str, *, as_json: bool) -> None:
    """Let party ID take new work again."""

    def question(sdk: "FlowServerSdk") -> Any:
        data_of(sdk.party.resume(party_id))
        return data_of(sdk.party.get(party_id))

    # An agent that is about to leave still takes none.
    _tell(ask(server, question), as_json=as_json)


def _tell(known: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(known))
    else:
        takes = "takes no new work" if known["draining"] else "takes new work"
        click.echo(f"{known['federated_id']} {takes}")


def _all_parties(sdk: "FlowServerSdk") -> list[dict[str, Any]]:
    parties: list[dict[str, Any]] = []
    page = 1
    while found := data_of(sdk.party.list(page, PAGE))["parties"]:
        parties += found
        page += 1
    return parties


def _show(parties: list[dict[str, Any]]) -> None:
    rows = [
        (
            known["federated_id"],
            known["name"],
            "yes" if known["connected"] else "no",
            "no, draining" if known["draining"] else "yes",
            known["runtime"],
            len(known["gpu_ids"]),
            known["last_seen"],
        )
        for known in parties
    ]
    titles = ("party", "name", "connected", "new work", "runtime", "gpus", "last seen")
    show_table(titles, rows)
