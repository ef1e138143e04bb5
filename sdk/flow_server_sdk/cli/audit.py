"""`fedflow audit`: read the server's audit log, and verify that nobody changed it.

Importing this costs click and nothing else; the client is imported when a command runs.
"""

import json
from collections.abc import Iterator
from typing import Any

import click

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.asking import ask, data_of, server_option

_PAGE = 1000


@click.group(short_help="Read the audit log; verify that nobody changed it.")
def audit() -> None:
    """Read the server's audit log; verify that nobody changed it."""


@audit.command("list")
@server_option
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin after this number.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with the hashes.")
def list_entries(server: str, after: int, limit: int, *, as_json: bool) -> None:
    """List what was done, oldest first."""
    for entry in _entries(server, after, limit):
        click.echo(json.dumps(entry) if as_json else _line(entry))


@audit.command()
@server_option
@click.option(
    "--expect",
    metavar="NUMBER:HASH",
    help="An entry that was seen before: that it is still there shows that no end was cut off.",
)
def verify(server: str, expect: str | None) -> None:
    """Walk the whole chain; exit with 1 at the first entry that was changed, lost or put in."""
    from flow_contract import audit as chains  # noqa: PLC0415 - --help must stay quick

    sought = _expected(expect)
    found = newest = None
    previous_hash, count = chains.GENESIS, 0
    for document in _entries(server, 0, None):
        entry = chains.from_document(document)
        broken = chains.verify([entry], after_sequence=count, previous_hash=previous_hash)
        if broken is not None:
            raise click.ClickException(f"entry {broken.sequence}: {broken.problem}")
        previous_hash, count, newest = entry.hash, entry.sequence, entry
        if sought is not None and sought[0] == entry.sequence:
            found = entry.hash
    if sought is not None and found != sought[1]:
        raise click.ClickException(
            f"entry {sought[0]} is not the expected one: the log was cut and written anew, or "
            "this is another server's"
        )
    click.echo(f"{count} entries hold" + (f"; newest {count}:{newest.hash}" if newest else ""))


def _expected(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, digits = text.partition(":")
    if not number.isdigit() or not digits:
        raise click.UsageError(f"--expect: {text!r} is not NUMBER:HASH, as verify prints it")
    return int(number), digits


def _entries(server: str, after: int, limit: int | None) -> Iterator[dict[str, Any]]:
    while limit is None or limit > 0:
        size = _PAGE if limit is None else min(limit, _PAGE)
        page = _page(server, after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1]["sequence"]
        limit = None if limit is None else limit - len(page)


def _page(server: str, after: int, size: int) -> list[dict[str, Any]]:
    found = ask(server, lambda sdk: data_of(sdk.audit.list(after, size)))
    entries: list[dict[str, Any]] = found["entries"]
    return entries


def _line(entry: dict[str, Any]) -> str:
    who = f"{entry['actor_kind']}:{entry['actor']}" if entry["actor"] else entry["actor_kind"]
    what = f"{entry['subject_kind']} {entry['subject_id']}".strip()
    facts = " ".join(f"{key}={value}" for key, value in sorted(entry["detail"].items()))
    parts = (entry["at"], who, entry["address"], entry["action"], what, entry["outcome"], facts)
    text = f"{entry['sequence']:>6}  " + "  ".join(part for part in parts if part)
    return printable(text)
