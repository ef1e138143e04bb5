"""`fedflow server init`: makes the CA, the server's certificate and the first admin's token.

Importing this costs click and nothing else.
"""

import secrets
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click


@click.command(short_help="Make the CA, the server's certificate and the admin's token.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="FEDFLOW_STATE_DIR",
    show_envvar=True,
    help="The server's state directory; all goes into its subdirectory pki.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A DNS name or IP address that clients and agents dial; may be repeated. This machine's "
    "name and its loopback addresses are always in.",
)
@click.option("--renew", is_flag=True, help="Make a new server certificate by the same CA.")
def init(state_dir: Path | None, names: tuple[str, ...], *, renew: bool) -> None:
    """Make what a server needs to serve over TLS, and never overwrite it.

    With --renew only the server's certificate is made anew, for the names that it had and those
    of --name. A running server takes it over without a restart, and no site has to do anything.
    """
    from flow_contract.errors import FlowError  # noqa: PLC0415 - --help must stay quick
    from flow_server.storage.pg_account import default_state_dir  # noqa: PLC0415 - the same

    parent = click.get_current_context().parent
    directory = state_dir or (parent and parent.params.get("state_dir")) or default_state_dir()
    try:
        lines = _renew(directory, names) if renew else _make(directory, names)
    except FlowError as error:
        raise click.ClickException(error.message) from None
    for line in lines:
        click.echo(line)


def _make(state_dir: Path, given: tuple[str, ...]) -> list[str]:
    from flow_contract import secrets as tokens  # noqa: PLC0415 - --help must stay quick
    from flow_server.pki import authority, files  # noqa: PLC0415 - the same

    # What a machine calls itself need not be a name that anybody could dial.
    own = [name for name in (socket.gethostname(),) if authority.is_dns_name(name)]
    names = _once((*given, *own, "localhost", "127.0.0.1", "::1"))
    now = datetime.now(UTC)
    ca = authority.make_ca(now=now, label=secrets.token_hex(4))
    signer = authority.Authority(ca.certificate_pem, ca.key_pem)
    admin = tokens.make_secret(secrets.token_bytes(tokens.SECRET_BYTES + tokens.ID_BYTES))
    pki = files.pki_in(state_dir)
    files.write_new(pki, ca=ca, server=signer.sign_server(names, now=now), admin=admin)
    return [
        f"made {pki.path}: CA, server certificate for {', '.join(names)}",
        "  ca.pem       give it to users; with it they know this server",
        "  ca.key       signs parties; keep a copy off this machine, and show it to nobody",
        f"  admin.token  your first API token; take it away: mv {pki.admin_token} somewhere safe",
        f"next: fedflow server --state-dir {state_dir}",
        "then, for each site: fedflow party add ID",
    ]


def _renew(state_dir: Path, added: tuple[str, ...]) -> list[str]:
    from flow_contract.errors import Unavailable  # noqa: PLC0415 - --help must stay quick
    from flow_server.pki import files, identities  # noqa: PLC0415 - the same

    pki = files.pki_in(state_dir)
    files.read_ca(pki)
    signer = files.read_authority(pki)
    if signer is None:
        raise Unavailable(f"there is no ca.key in {pki.path}; renew where it is kept")
    # The names that it had: nobody who dials it today should find it changed.
    present = files.read_public(pki.server_certificate)
    names = _once((*identities.server_names(present), *added))
    files.replace_server_certificate(pki, signer.sign_server(names, now=datetime.now(UTC)))
    return [
        f"made a new server certificate in {pki.path} for {', '.join(names)}",
        "a running server takes it over by itself; give other replicas server.pem and server.key",
    ]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
