"""What the commands that ask a server share: which server, one question, its answer's words.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flow_contract.foreign_text import printable

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

F = TypeVar("F", bound=Callable[..., Any])

PAGE = 1000
_PIPE_WIDTH = 400

server_option = click.option(
    "--server",
    envvar="FEDFLOW_SERVER",
    show_envvar=True,
    default="127.0.0.1:1235",
    show_default=True,
    metavar="HOST:PORT",
    help="The flow server.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")


def asking(command: F) -> F:
    """Give a command the options `server` and `as_json`."""
    return server_option(json_option(command))


def ask(
    server: str,
    question: "Callable[[FlowServerSdk], Any]",
    *,
    token: str | None = None,
    ca: str | None = None,
) -> Any:
    """Return what `question` makes of a client of this server.

    An error of the catalogue ends the command with its sentence and its exit code.
    """
    from flow_contract.errors import FlowError  # noqa: PLC0415 - --help must stay quick
    from flow_server_sdk.cli import exits  # noqa: PLC0415 - the same

    with connected(server, token=token, ca=ca) as sdk:
        try:
            return question(sdk)
        except FlowError as error:
            code = exits.of_error(type(error))
            raise exits.CommandFailed(printable(error.message), code) from None


def connected(server: str, *, token: str | None = None, ca: str | None = None) -> "FlowServerSdk":
    """Return a client of this server, to be closed; what can't be used ends the command."""
    from flow_server_sdk.client import FlowServerSdk  # noqa: PLC0415 - --help must stay quick

    host, port = split(server)
    try:
        return FlowServerSdk(host, port, token=token, ca=ca)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def split(server: str) -> tuple[str, str]:
    """Return host and port of `--server`; what is neither is a usage error."""
    from flow_server_sdk import address  # noqa: PLC0415 - --help must stay quick

    host, _, port = server.rpartition(":")
    try:
        address.join(host, port)
    except ValueError as error:
        raise click.UsageError(f"--server: {error}") from None
    return host, port


def data_of(answer: dict[str, Any]) -> Any:
    """Return the answer's data; one that says no ends the command with its exit code."""
    if number := answer["ret_code"]:
        from flow_contract.errors import by_ret_code  # noqa: PLC0415 - --help must stay quick
        from flow_server_sdk.cli import exits  # noqa: PLC0415 - the same

        raise exits.CommandFailed(printable(answer["ret_msg"]), exits.of_error(by_ret_code(number)))
    return answer.get("data")


def tell(known: Any, sentence: str, *, as_json: bool) -> None:
    """Write `known` as JSON, or the sentence."""
    click.echo(json.dumps(known) if as_json else sentence)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table for people; what would steer a terminal is only shown."""
    from rich.console import Console  # noqa: PLC0415 - --help must stay quick
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    # A pipe has no width of its own, and an id that is broken over two lines is of no use.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
