"""`fedflow agent pending` and `approve`: the site's own people say yes or no to a run.

Importing this costs click and nothing else. They ask the agent of this machine, never the server.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from party_agent.control_client import AgentSilent, ask

_AGENTS = ".local/state/fedflow/agents"
# Of a digest's 64 characters: nobody finds another specification for so many.
_MIN_DIGEST = 16

F = TypeVar("F", bound=Callable[..., Any])


def whose(command: F) -> F:
    """Add --state-dir and --party: which agent of this machine."""
    state_dir = click.option(
        "--state-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="FEDFLOW_AGENT_STATE_DIR",
        show_envvar=True,
        help="The agent's state directory. Default: that of --party, or of the only agent here.",
    )
    party = click.option(
        "--party",
        metavar="ID",
        envvar="FEDFLOW_AGENT_PARTY",
        show_envvar=True,
        help="The agent's party.",
    )
    return state_dir(party(command))


@click.command(short_help="List the runs that wait for a yes from this site.")
@whose
@click.option("--json", "as_json", is_flag=True, help="Write JSON with the whole specifications.")
def pending(state_dir: Path | None, party: str | None, *, as_json: bool) -> None:
    """List the runs that wait for a yes from this site, with what they would run."""
    waiting = _pending(place_of(state_dir, party))
    if as_json:
        click.echo(json.dumps(waiting))
        return
    if not waiting:
        click.echo("No run waits for approval.")
    for each in waiting:
        _show(each)


@click.command(short_help="Let a run that waits for this site's yes go on, or refuse it.")
@click.argument("run", metavar="RUN")
@whose
@click.option("--deny", is_flag=True, help="Refuse the run instead.")
@click.option(
    "--digest",
    metavar="DIGEST",
    help="Only if this is what waits: the digest that `pending` showed, or 16 characters.",
)
@click.option("--yes", is_flag=True, help="Do not ask again after showing the run.")
def approve(
    run: str,
    state_dir: Path | None,
    party: str | None,
    *,
    deny: bool,
    digest: str | None,
    yes: bool,
) -> None:
    """Let RUN (its id, or the first characters of it) go on at this site, or refuse it.

    The answer is for exactly what is shown, and the agent keeps it over a restart.
    """
    place = place_of(state_dir, party)
    found = _chosen(_pending(place), run)
    if digest is not None:
        if len(digest) < _MIN_DIGEST:
            raise click.UsageError(f"--digest: give at least {_MIN_DIGEST} characters of it")
        if not found["digest"].startswith(digest.lower()):
            raise click.ClickException(
                "what waits is not of this digest; see `fedflow agent pending`"
            )
    else:
        _show(found)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError(
                    "nobody is there to be asked: give --digest DIGEST, or --yes"
                )
            click.confirm("Refuse this run?" if deny else "Let this run start here?", abort=True)
    answer = {
        "do": "answer",
        "party_run_id": found["party_run_id"],
        "digest": found["digest"],
        "granted": not deny,
    }
    _asked(place, answer)
    click.echo(f"Run {found['run_id']} is {'refused' if deny else 'approved'} at this site.")


def place_of(state_dir: Path | None, party: str | None) -> Path:
    """Return the state directory of the agent that is meant. Raises click.UsageError."""
    if state_dir is not None:
        return state_dir
    agents = Path.home() / _AGENTS
    if party:
        return agents / party
    found = sorted(agents.iterdir()) if agents.is_dir() else []
    if len(found) == 1:
        return found[0]
    raise click.UsageError("name the agent: give --party ID or --state-dir")


def _asked(place: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = ask(place, request)
    except AgentSilent as error:
        raise click.ClickException(str(error)) from None
    if "error" in answer:
        raise click.ClickException(answer["error"])
    return answer


def _pending(place: Path) -> list[dict[str, Any]]:
    waiting: list[dict[str, Any]] = _asked(place, {"do": "pending"})["pending"]
    return waiting


def _chosen(waiting: list[dict[str, Any]], run: str) -> dict[str, Any]:
    found = [
        each
        for each in waiting
        if run and (each["run_id"].startswith(run) or each["party_run_id"].startswith(run))
    ]
    if not found:
        raise click.ClickException(f"no run {run} waits for approval; see `fedflow agent pending`")
    if len(found) > 1:
        raise click.ClickException(f"several runs begin with {run}; give more of the id")
    return found[0]


def _show(each: dict[str, Any]) -> None:
    spec = each["spec"]
    shown = {
        "run": each["run_id"],
        "waits since": each["asked_at"],
        "user": spec.get("requested_by") or "the server does not say",
        "template": spec.get("template_name")
        or spec.get("template_id")
        or "the server does not say",
        "task": spec["task_id"],
        "parties": ", ".join(spec["parties"]),
        "image": spec["image_url"],
        "image digest": each["image_digest"],
        "command": json.dumps(spec["command"]),
        "workdir": spec["workdir"],
        "container user": spec["user"],
        "data": spec["federated_data"],
        "mounts": json.dumps(spec["mounts"]) if spec["mounts"] else "",
        "environment": json.dumps(spec["env"]) if spec["env"] else "",
        "parameters": json.dumps(spec["hyper_parameter"]),
        "network": spec["network"],
        "resources": json.dumps(spec["resources"]),
        "digest": each["digest"],
    }
    for name, value in shown.items():
        # As JSON would: what a server sends must not move a terminal's cursor.
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))
        click.echo(f"{name:>14}: {text}")
    click.echo()
