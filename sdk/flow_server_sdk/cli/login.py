"""`fedflow login`, `logout` and `whoami`: what this machine shows which server.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click

from flow_server_sdk.cli.asking import ask, asking, data_of, server_option, split, tell

_MOST_BYTES = 65_536


@click.command(short_help="Keep a token and a CA for a server.")
@server_option
@click.option(
    "--token",
    "token_from",
    metavar="-",
    help="'-' reads the token from stdin. Never the token itself: others can read command lines.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the token from this file now and whenever it is needed, and keep no copy.",
)
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The server's ca.pem; left out: the roots that this machine trusts.",
)
def login(server: str, token_from: str | None, token_file: Path | None, ca: Path | None) -> None:
    """Keep a token and a CA for a server, once the server has accepted them.

    They are kept in ~/.config/fedflow/servers.toml, for you alone, and used by every command
    and by FlowServerSdk unless something else is given.
    """
    from flow_server_sdk import address, known_servers  # noqa: PLC0415 - --help must stay quick

    if token_from not in {None, "-"}:
        # The text is not repeated: it may be the token.
        raise click.UsageError(
            "--token: give '-' and the token on stdin; on a command line everybody could read it"
        )
    if (token_from is None) == (token_file is None):
        raise click.UsageError("give the token on stdin with --token -, or with --token-file PATH")
    text = _text(token_file)
    kept_ca = None if ca is None else str(ca.resolve())
    known = ask(server, lambda sdk: data_of(sdk.user.whoami()), token=text, ca=kept_ca)
    path = known_servers.profiles_path()
    name = address.join(*split(server))
    try:
        profiles = known_servers.read_profiles(path)
        profile = replace(
            profiles.get(name, known_servers.Profile()),
            token=text if token_file is None else None,
            token_file=None if token_file is None else str(token_file.resolve()),
        )
        if kept_ca is not None:
            profile = replace(profile, ca=kept_ca)
        known_servers.write_profiles(path, {**profiles, name: profile})
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"logged in to {name} as {known['name']}; kept in {path}")


@click.command(short_help="Forget a server's token.")
@server_option
def logout(server: str) -> None:
    """Forget the token that is kept for a server; its CA stays known.

    The token itself works on until it expires: 'fedflow token revoke' ends it everywhere.
    """
    from flow_server_sdk import address, known_servers  # noqa: PLC0415 - --help must stay quick

    path = known_servers.profiles_path()
    name = address.join(*split(server))
    try:
        profiles = known_servers.read_profiles(path)
        known = profiles.get(name)
        if known is None or not (known.token or known.token_file):
            raise click.ClickException(f"no token is kept for {name} in {path}")
        left = replace(known, token=None, token_file=None)
        others = {key: value for key, value in profiles.items() if key != name}
        known_servers.write_profiles(path, {**others, name: left} if left.ca else others)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"logged out of {name}")


@click.command(short_help="Say who a server takes you for, and what you may do there.")
@asking
def whoami(server: str, *, as_json: bool) -> None:
    """Say who the server takes you for, and what you may do there."""
    known = ask(server, lambda sdk: data_of(sdk.user.whoami()))
    rights = " ".join(known["rights"]) or "nothing; ask an admin of the server for a role"
    by = f" by token {known['token_id']}" if known["token_id"] else ""
    tell(known, f"{known['name']}{by}: {rights}", as_json=as_json)


def _text(token_file: Path | None) -> str:
    if token_file is None:
        text = sys.stdin.read(_MOST_BYTES).strip()
    else:
        text = token_file.read_text(encoding="ascii", errors="replace").strip()
    if not text:
        raise click.ClickException("there is no token on stdin or in the file")
    return text
