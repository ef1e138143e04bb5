"""What every command that asks a server has in common: where it is, and how errors end it.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

F = TypeVar("F", bound=Callable[..., Any])


def server_option(command: F) -> F:
    """Add --server to a command."""
    return click.option(
        "--server",
        envvar="FEDFLOW_SERVER",
        show_envvar=True,
        default="127.0.0.1:1235",
        show_default=True,
        metavar="HOST:PORT",
        help="The flow server.",
    )(command)


def ask(server: str, question: "Callable[[FlowServerSdk], Any]") -> Any:
    """Return the question's answer.

    Raises:
        click.UsageError, click.ClickException: the address is none, or what the server says.
    """
    from flow_contract.errors import FlowError  # noqa: PLC0415 - --help must stay quick
    from flow_server_sdk.client import FlowServerSdk  # noqa: PLC0415 - the same

    host, _, port = server.rpartition(":")
    try:
        sdk = FlowServerSdk(host, port)
    except ValueError as error:
        raise click.UsageError(f"--server: {error}") from None
    with sdk:
        try:
            return question(sdk)
        except FlowError as error:
            raise click.ClickException(error.message) from None


def data_of(answer: dict[str, Any]) -> Any:
    """Return an answer's data. Raises click.ClickException for what is not a success."""
    if answer["ret_code"]:
        raise click.ClickException(answer["ret_msg"])
    return answer.get("data")
