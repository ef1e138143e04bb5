"""`fedflow token`: API tokens, made, listed and revoked. A token's text is printed once, alone.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json

import click

from flow_server_sdk.cli.asking import ask, asking, data_of, show_table, tell

# As flow_contract.access has them; written out, for --help imports nothing.
RIGHTS = ["read", "read_all", "run", "operate", "audit", "manage"]


@click.group(short_help="Create, list and revoke API tokens.")
def token() -> None:
    """API tokens: your own, and as an admin those of others."""


@token.command()
@click.option("--user", "user_name", default="", help="Whose; left out: yours.")
@click.option("--label", default="", help="What it is for, for people.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(RIGHTS),
    multiple=True,
    help="What it may do; left out: all that the user's role allows. May be repeated.",
)
@click.option("--valid-days", type=int, help="When it expires.  [default: 90]")
@asking
def create(
    user_name: str,
    label: str,
    scopes: tuple[str, ...],
    valid_days: int | None,
    server: str,
    *,
    as_json: bool,
) -> None:
    """Make a token and write it to stdout, alone: nobody can show it again."""
    made = ask(
        server,
        lambda sdk: data_of(
            sdk.user.create_token(
                user_name, label=label, scopes=list(scopes) or None, valid_days=valid_days
            )
        ),
    )
    if not as_json:
        known_as = f"token {made['token_id']} of {made['user_name']} until {made['expires_at']}"
        click.echo(known_as, err=True)
    tell(made, made["token"], as_json=as_json)


@token.command("list")
@click.option("--user", "user_name", default="", help="Whose; left out: yours.")
@asking
def list_tokens(user_name: str, server: str, *, as_json: bool) -> None:
    """List tokens, newest first, by what may be shown of them."""
    tokens = ask(server, lambda sdk: data_of(sdk.user.tokens(user_name)))["tokens"]
    if as_json:
        click.echo(json.dumps(tokens))
        return
    rows = [
        (
            known["token_id"],
            known["user_name"],
            known["label"],
            "all of the role" if known["scopes"] is None else " ".join(known["scopes"]),
            f"revoked {known['revoked_at']}" if known["revoked_at"] else known["expires_at"],
            known["last_used_at"] or "never",
        )
        for known in tokens
    ]
    show_table(("token", "user", "label", "scopes", "until", "last used"), rows)


@token.command()
@click.argument("token_id", metavar="ID")
@asking
def revoke(token_id: str, server: str, *, as_json: bool) -> None:
    """Have the token of this ID refused from now on, everywhere.

    The ID is what 'list' shows: the middle part of the token, which is no secret.
    """
    ask(server, lambda sdk: data_of(sdk.user.revoke_token(token_id)))
    tell({"token_id": token_id, "revoked": True}, f"{token_id} is revoked", as_json=as_json)
