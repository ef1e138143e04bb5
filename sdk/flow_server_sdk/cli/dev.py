"""`fedflow dev`: a whole federation in one terminal."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from flow_server_sdk.cli import lifeline
from flow_server_sdk.cli.federation.lines import Console
from flow_server_sdk.cli.federation.plan import SERVER, Plan

MAX_PARTIES = 100


@click.command()
@click.option("--parties", type=click.IntRange(1, MAX_PARTIES), default=3, show_default=True)
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    help="Where workloads run. auto: docker where an engine answers, else process.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=1235,
    show_default=True,
    help="gRPC port; 0 picks a free one, and a free HTTP port.",
)
@click.option("--http-port", type=click.IntRange(0, 65_535), help="HTTP port; 0 picks a free one.")
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=PATH",
    help="Data that every party offers. May be repeated.",
)
@click.option(
    "--party-data",
    multiple=True,
    metavar="PARTY:NAME=PATH",
    help="Data that one party offers, as in party-1:scans=/srv/scans. May be repeated.",
)
@click.option("--gpus", metavar="A,B,C", help="GPUs, dealt out to the parties in turn.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where database and agents keep their state; a temporary directory if left out.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help='Write {"grpc": "host:port", "http": …, "parties": […]} here while all answer.',
)
@click.option(
    "--insecure", is_flag=True, help="Plain text, and nobody proves who he is: no certificates."
)
@click.option("--log-json", is_flag=True, help="Show log lines as the JSON that they are.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def dev(
    *,
    parties: int,
    runtime: str,
    port: int,
    http_port: int | None,
    data: tuple[str, ...],
    party_data: tuple[str, ...],
    gpus: str | None,
    state_dir: Path | None,
    ready_file: Path | None,
    insecure: bool,
    log_json: bool,
    log_level: str,
) -> None:
    """Run a server and its parties' agents in this terminal.

    The parties are party-1, party-2 and so on. Ctrl-C stops their workloads, the agents and the
    server, and removes what they kept unless --state-dir named a place for it.

    All speak TLS. Clients of yours find certificate and token by themselves while it runs: they
    stand in ~/.config/fedflow/servers.toml.
    """
    from flow_server_sdk.cli.federation.run import (  # noqa: PLC0415 - --help must stay quick
        Broken,
        Federation,
    )

    with _state_dir(state_dir) as folder:
        plan = Plan(
            parties=parties,
            runtime=runtime,
            port=port,
            http_port=http_port,
            data=_offers("--data", data),
            party_data=_party_offers(party_data, parties),
            gpu_ids=_gpu_ids(gpus, parties),
            state_dir=folder,
            log_level=log_level,
            insecure=insecure,
            parent_pid=os.getpid() if lifeline.AVAILABLE else None,
        )
        console = Console([SERVER, *plan.party_ids], as_json=log_json)
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
        try:
            federation = Federation(plan, console, ready_file=ready_file)
            asyncio.run(federation.run())
        except Broken as problem:
            raise click.ClickException(f"{problem}.") from None


@contextlib.contextmanager
def _state_dir(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="fedflow-"))
    # An embedded database that gave up root must be able to reach its own folder below.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            click.echo(
                f"{folder} could not be removed whole: containers left files of other users",
                err=True,
            )


def _offers(option: str, items: Iterable[str]) -> dict[str, Path]:
    offers: dict[str, Path] = {}
    for item in items:
        name, _, path = item.partition("=")
        if not name or not path:
            raise click.UsageError(f"{option}: {item!r} is not NAME=PATH")
        if name in offers:
            raise click.UsageError(f"{option}: {name!r} is given twice")
        if not Path(path).exists():
            raise click.UsageError(f"{option}: there is no {path}")
        offers[name] = Path(path).resolve()
    return offers


def _party_offers(items: Iterable[str], parties: int) -> dict[str, dict[str, Path]]:
    known = {f"party-{number}": list[str]() for number in range(1, parties + 1)}
    for item in items:
        party, separator, offer = item.partition(":")
        if not separator:
            raise click.UsageError(f"--party-data: {item!r} is not PARTY:NAME=PATH")
        if party not in known:
            raise click.UsageError(f"--party-data: {party!r} is none of {', '.join(known)}")
        known[party].append(offer)
    return {
        party: _offers(f"--party-data {party}", offers) for party, offers in known.items() if offers
    }


def _gpu_ids(text: str | None, parties: int) -> tuple[str, ...]:
    if text is None:
        return ()
    ids = tuple(part.strip() for part in text.split(","))
    if not all(ids) or len(set(ids)) != len(ids):
        raise click.UsageError("--gpus: give ids with commas between them, each once")
    if len(ids) < parties:
        raise click.UsageError(
            f"--gpus: {len(ids)} can't be dealt out to {parties} parties; run fewer parties"
        )
    return ids
