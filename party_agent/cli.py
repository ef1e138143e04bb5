"""`fedflow agent`: the command line of one party's agent.

Importing this costs click and nothing else; the agent is imported when it runs.
"""

from pathlib import Path
from typing import Any

import click

from party_agent.audit_cli import audit
from party_agent.enrol_cli import enrol
from party_agent.policy_cli import policy
from party_agent.site_cli import approve, pending


@click.group(
    invoke_without_command=True,
    short_help="Run a party's agent: dial the server, run its share of each run.",
)
@click.option(
    "--server",
    envvar="FEDFLOW_AGENT_SERVER",
    metavar="HOST:PORT",
    help="The flow server to dial. Default: the one where this site enrolled.",
)
@click.option(
    "--party",
    envvar="FEDFLOW_AGENT_PARTY",
    metavar="ID",
    help="This party's id (federated_id). Default: that of the identity on this machine.",
)
@click.option(
    "--insecure",
    envvar="FEDFLOW_AGENT_INSECURE",
    is_flag=True,
    default=None,
    help="Plain text and no proof of who this is; only to a server on this machine.",
)
@click.option("--name", metavar="NAME", help="A name for people; the id where left out.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process", "memory"]),
    help="Where workloads run. auto: docker where an engine answers, else process.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=PATH",
    help="Data that runs may name, mounted read-only. May be repeated.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The site's rules, a TOML file that may change at any time; instead of --data and"
    " --allow-network.",
)
@click.option("--gpus", metavar="A,B,C", help="The GPUs to use; all that are found if left out.")
@click.option(
    "--state-dir",
    envvar="FEDFLOW_AGENT_STATE_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="What survives a restart, and the outputs. One agent per directory."
    " Default: ~/.local/state/fedflow/agents/ID",
)
@click.option("--allow-network", is_flag=True, default=None, help="Let templates ask for network.")
@click.option(
    "--coordinator",
    is_flag=True,
    default=None,
    help="Offer to run the coordinators of runs whose templates name no party for them.",
)
@click.option(
    "--workload-user",
    metavar="UID:GID",
    help="Who workloads are instead of root. Default: 65532:65532 in containers of an agent that"
    " is root, else the agent's own user.",
)
@click.option(
    "--workload-groups",
    metavar="GID,GID",
    help="Groups that workloads are given beside their own, so that they can read the data.",
)
@click.option(
    "--allow-root", is_flag=True, default=None, help="Let templates ask for root (docker)."
)
@click.option(
    "--read-only-root",
    type=click.Choice(["auto", "always", "never"]),
    help="Whether images are read-only (docker). Default: auto, unless an image's label"
    " io.fedflow.writable-root=true asks for more.",
)
@click.option("--tmp-bytes", type=int, metavar="N", help="Size of /tmp (docker). Default: 1 GiB.")
@click.option(
    "--max-pids", type=int, metavar="N", help="Processes and threads of a workload (docker)."
)
@click.option("--warm-sandboxes", type=int, metavar="N", help="Sandboxes kept ready (docker).")
@click.option(
    "--on-exit",
    type=click.Choice(["keep", "stop"]),
    help="At SIGTERM or Ctrl-C, let workloads run on (keep, the default) or stop them all.",
)
@click.option(
    "--drain",
    "drain_on_exit",
    is_flag=True,
    default=None,
    help="At SIGTERM or Ctrl-C, refuse new runs, let the accepted ones end, then leave;"
    " a second signal leaves at once and lets workloads run on.",
)
@click.option(
    "--keep-outputs-s",
    type=int,
    metavar="SECONDS",
    help="Remove the outputs of runs that ended longer ago. Default: 2592000 (30 days).",
)
@click.option(
    "--keep-outputs-runs",
    type=int,
    metavar="N",
    help="Keep the outputs of the N runs that ended last. Default: 1000.",
)
@click.option(
    "--keep-images-s",
    type=int,
    metavar="SECONDS",
    help="Remove images that this agent pulled and nothing has used for so long (docker)."
    " Default: 0, never.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write this JSON file once connected.",
)
@click.option(
    "--metrics-listen",
    metavar="HOST:PORT",
    help="Show /metrics, /healthz and /readyz here, as in 127.0.0.1:9464. Default: nowhere.",
)
@click.option(
    "--otlp-endpoint",
    metavar="URL",
    help="Send traces of starts to this OpenTelemetry collector (fedflow[tracing])."
    " Default: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere.",
)
@click.option("--log-json", is_flag=True, default=None, help="Log JSON on a terminal too.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.pass_context
def agent(context: click.Context, /, **options: Any) -> None:
    """Run a party's agent: dial the server, run its share of each run, report.

    Where this site has enrolled, server and party are known. Each option can also be set as
    FEDFLOW_AGENT_<OPTION>. Ctrl-C ends the agent; its workloads run on and are adopted by the
    next one, unless --drain or --on-exit says otherwise.

    The commands below are for the site's own people.
    """
    if context.invoked_subcommand is not None:
        return
    given = {key: value for key, value in options.items() if value not in (None, ())}
    if not given.get("insecure"):
        _identify(given)
    problems = _parse_data(given)
    for several in ("gpus", "workload_groups"):
        if several in given:
            given[several] = tuple(part.strip() for part in given[several].split(","))

    from pydantic import ValidationError  # noqa: PLC0415  --help must stay quick

    from party_agent import main  # noqa: PLC0415  the same
    from party_agent import settings as settings_module  # noqa: PLC0415  the same

    try:
        settings = settings_module.AgentSettings(**given)
    except ValidationError as error:
        problems += settings_module.problems(error)
    if problems:
        raise click.UsageError("\n".join(problems))
    if settings.state_dir is None and settings.runtime != "memory":
        from party_agent.identity import places  # noqa: PLC0415  --help must stay quick

        state_dir = places.home() / settings.party
        settings = settings.model_copy(update={"state_dir": state_dir})
    raise SystemExit(main.run(settings))


for command in (enrol, pending, approve, policy, audit):
    agent.add_command(command)


def _identify(given: dict[str, Any]) -> None:
    """Fill in who this site is and where it dials; what was given must be the same."""
    from party_agent.identity import places  # noqa: PLC0415  --help must stay quick
    from party_agent.identity.files import (  # noqa: PLC0415  the same
        IdentityMissing,
        IdentityUnusable,
    )

    try:
        place, identity = places.find(state_dir=given.get("state_dir"), party=given.get("party"))
    except (IdentityMissing, IdentityUnusable) as error:
        raise click.ClickException(str(error)) from None
    known = (identity.server, identity.agents_address)
    if given.get("server", identity.server) not in known:
        raise click.ClickException(
            f"this site enrolled at {identity.server}, not at {given['server']}; leave --server "
            "out, or enrol there with --again"
        )
    given |= {"server": identity.agents_address, "party": identity.party, "state_dir": place}


def _parse_data(given: dict[str, Any]) -> list[str]:
    problems = []
    data: dict[str, str] = {}
    for item in given.pop("data", ()):
        name, separator, path = item.partition("=")
        if not separator or not name or not path:
            problems.append(f"--data: {item!r} is not NAME=PATH")
        elif name in data:
            problems.append(f"--data: {name!r} is given twice")
        else:
            data[name] = path
    if data:
        given["data"] = data
    return problems
