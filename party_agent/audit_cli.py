"""`fedflow agent audit`: read this site's own audit log, and verify that nobody changed it.

Importing this costs click and nothing else. It reads the file; neither agent nor server is asked.
"""

import json
from pathlib import Path

import click

from flow_contract.foreign_text import printable
from party_agent.site_cli import place_of, whose


@click.group(short_help="Read this site's audit log; verify that nobody changed it.")
def audit() -> None:
    """Read this site's own audit log; verify that nobody changed it."""


@audit.command("list")
@whose
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with the hashes.")
def list_entries(state_dir: Path | None, party: str | None, *, as_json: bool) -> None:
    """List what was asked of this site and what came of it, oldest first."""
    from flow_contract.audit import to_document  # noqa: PLC0415  --help must stay quick
    from party_agent.audit import AuditUnreadable, read  # noqa: PLC0415  the same

    path = _path(state_dir, party)
    try:
        for entry in read(path):
            document = to_document(entry)
            act = entry.act
            who = f"{act.actor_kind}:{act.actor}" if act.actor else act.actor_kind
            facts = " ".join(f"{key}={value}" for key, value in sorted(act.detail.items()))
            line = (
                f"{entry.sequence:>6}  {document['at']}  {who}  {act.action}  {act.subject_kind} "
                f"{act.subject_id}  {act.outcome}  {facts}"
            )
            click.echo(json.dumps(document) if as_json else printable(line))
    except (OSError, AuditUnreadable) as error:
        raise click.ClickException(str(error)) from None


@audit.command()
@whose
@click.option(
    "--expect",
    metavar="NUMBER:HASH",
    help="An entry that was seen before: that it is still there shows that no end was cut off.",
)
def verify(state_dir: Path | None, party: str | None, expect: str | None) -> None:
    """Walk the whole chain; exit with 1 at the first entry that was changed, lost or put in."""
    from flow_contract.audit import verify as verify_chain  # noqa: PLC0415  --help must stay quick
    from party_agent.audit import AuditUnreadable, read  # noqa: PLC0415  the same

    path = _path(state_dir, party)
    try:
        entries = list(read(path))
    except (OSError, AuditUnreadable) as error:
        raise click.ClickException(str(error)) from None
    broken = verify_chain(entries)
    if broken is not None:
        raise click.ClickException(f"entry {broken.sequence}: {broken.problem}")
    if expect is not None and expect not in {f"{one.sequence}:{one.hash}" for one in entries}:
        raise click.ClickException(
            f"{expect.partition(':')[0]} is not the expected entry: the log was cut or made anew"
        )
    newest = f"; newest {entries[-1].sequence}:{entries[-1].hash}" if entries else ""
    click.echo(f"{len(entries)} entries hold{newest}")


def _path(state_dir: Path | None, party: str | None) -> Path:
    path = place_of(state_dir, party) / "audit.jsonl"
    if not path.exists():
        raise click.ClickException(f"{path}: there is no audit log; has this agent ever run?")
    return path
