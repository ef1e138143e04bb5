"""`fedflow agent enrol`: the command that gives a site its identity.

Importing this costs click and nothing else.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from flow_contract.secrets import Enrolment
    from party_agent.identity.enrolment import Answered

# An enrolment token is below this; what is longer is another file.
_MAX_TOKEN_BYTES = 64 * 1024


@click.command(short_help="Get this site's identity with a one-time token.")
@click.option(
    "--server",
    metavar="HOST:PORT",
    required=True,
    help="The flow server, at the port that its users call.",
)
@click.option(
    "--token",
    metavar="-",
    help="'-': read the token from standard input. It is never an argument, which all can see.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the token from this file instead.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="FEDFLOW_AGENT_STATE_DIR",
    show_envvar=True,
    help="The agent's state directory. Default: ~/.local/state/fedflow/agents/ID",
)
@click.option("--again", is_flag=True, help="Replace the identity that this agent has.")
def enrol(
    server: str,
    token: str | None,
    token_file: Path | None,
    state_dir: Path | None,
    *,
    again: bool,
) -> None:
    """Make this site's key, and have the server sign it for the party that the token names.

    The server's operator makes the token ('fedflow party add ID'). It says by which CA the server
    is known; nothing else is believed. If the answer is lost, run this again with the same token.
    """
    text = _token_text(token, token_file)

    from flow_contract.secrets import NotASecret, read_enrolment  # noqa: PLC0415  --help is quick
    from party_agent.identity import files  # noqa: PLC0415  the same
    from party_agent.settings import check_target  # noqa: PLC0415  the same

    try:
        check_target(server)
    except ValueError as error:
        raise click.UsageError(f"--server: {error}") from None
    try:
        enrolment = read_enrolment(text)
    except NotASecret as error:
        raise click.ClickException(f"this is {error}") from None
    if state_dir is not None and not again and files.exists(state_dir):
        _taken(state_dir)
    _enrol(server, enrolment, state_dir, again=again)


def _enrol(server: str, token: "Enrolment", state_dir: Path | None, *, again: bool) -> None:
    from party_agent.identity import files, places  # noqa: PLC0415  --help must stay quick
    from party_agent.identity.enrolment import EnrolmentFailed  # noqa: PLC0415  the same
    from party_agent.identity.enrolment import enrol as ask  # noqa: PLC0415  the same
    from party_agent.identity.files import IdentityUnusable  # noqa: PLC0415  the same

    # Which party it will be, and so its directory, only the answer says.
    pending = places.home() / ".enrolling" if state_dir is None else state_dir / files.FOLDER
    try:
        answered = ask(server, token, pending=pending, now=lambda: datetime.now(UTC))
        place = state_dir or places.home() / answered.identity.party
        if not again and files.exists(place):
            _taken(place)
        files.write(place, answered.identity)
        files.drop_pending(pending, token.token_id)
    except (EnrolmentFailed, IdentityUnusable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or pending} can't be written: {error.strerror}"
        ) from None
    _tell(answered, place, is_default=state_dir is None)


def _tell(answered: "Answered", place: Path, *, is_default: bool) -> None:
    identity = answered.identity
    click.echo(
        f"this site is party {identity.party!r}, until {answered.not_after:%Y-%m-%d %H:%M} UTC; "
        "the agent renews that by itself"
    )
    click.echo(f"its key is in {place / 'identity'}, and nowhere else")
    where = f" --party {identity.party}" if is_default else f" --state-dir {place}"
    click.echo(f"next: fedflow agent{where}")


def _taken(place: Path) -> NoReturn:
    raise click.ClickException(
        f"{place} has an identity already; add --again to replace it, with the same token"
    )


def _token_text(token: str | None, token_file: Path | None) -> str:
    if token is not None and token != "-":  # noqa: S105  it stands for standard input
        raise click.UsageError(
            "--token: a token on the command line can be seen by everybody on this machine; "
            "write --token - and pipe it in, or name a --token-file. The one that you gave should "
            "be replaced by another"
        )
    if (token is None) == (token_file is None):
        raise click.UsageError("give the token with --token - (standard input) or --token-file")
    if token_file is None:
        if sys.stdin.isatty():
            return str(click.prompt("enrolment token", hide_input=True))
        return sys.stdin.read(_MAX_TOKEN_BYTES)
    try:
        return token_file.read_bytes()[:_MAX_TOKEN_BYTES].decode("ascii", "replace")
    except OSError as error:
        raise click.UsageError(f"--token-file: {token_file}: {error.strerror}") from None
