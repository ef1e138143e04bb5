"""`fedflow server`: the command line of one flow server.

Importing this costs click and nothing else; the server is imported when it runs.
"""

from pathlib import Path
from typing import Any

import click


@click.group(
    invoke_without_command=True,
    short_help="Run a flow server: keep templates and tasks, drive the agents.",
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="gRPC port; 0 picks a free one.  [default: 1235]")
@click.option(
    "--agents-port", type=int, help="gRPC port for agents; 0 picks a free one.  [default: 1237]"
)
@click.option("--http-port", type=int, help="HTTP port; 0 picks a free one.  [default: 1236]")
@click.option(
    "--database-url",
    envvar="FEDFLOW_DATABASE_URL",
    show_envvar=True,
    metavar="URL",
    help="postgresql://user:password@host:5432/name; without it an embedded PostgreSQL.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="FEDFLOW_STATE_DIR",
    show_envvar=True,
    help="Where the certificates are and the embedded PostgreSQL keeps its data.",
)
@click.option(
    "--pki-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the certificates are.  [default: pki in the state directory]",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Your own server certificate with its chain, PEM; agents' own stay ours.",
)
@click.option("--tls-key", type=click.Path(dir_okay=False, path_type=Path), help="Its key, PEM.")
@click.option(
    "--tls-ca",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The CA by which it is known, PEM.",
)
@click.option(
    "--agents-address",
    metavar="HOST:PORT",
    help="Where agents are told to connect.  [default: where they enrolled, --agents-port]",
)
@click.option(
    "--relay/--no-relay",
    default=None,
    help="Whether agents may meet here, so that workloads can talk.  [default: yes]",
)
@click.option("--relay-host", help="Address that the relay listens on.  [default: --host]")
@click.option(
    "--relay-port", type=int, help="The relay's port; 0 picks a free one.  [default: 1238]"
)
@click.option(
    "--relay-address",
    metavar="HOST:PORT",
    help="Where agents are told that the relay is.  [default: their server's host, --relay-port]",
)
@click.option(
    "--insecure",
    is_flag=True,
    default=None,
    help="Plain text, and nobody proves who he is; only on this machine's loopback.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help='Write {"grpc": "host:port", "agents": …, "http": …, "relay": …, "tls": …} here '
    "once it serves.",
)
@click.option(
    "--blob-url",
    metavar="URL",
    help="Where logs and outputs lie, s3://bucket/folder.  [default: blobs in the state directory]",
)
@click.option(
    "--lost-after-s",
    type=float,
    metavar="SECONDS",
    help="When an agent that is dead counts as absent.  [default: 30]",
)
@click.option(
    "--retention-days",
    type=float,
    metavar="DAYS",
    help="Ended runs that are older are deleted; 0 keeps them for ever.  [default: 90]",
)
@click.option(
    "--retention-runs-per-task",
    type=int,
    metavar="N",
    help="A task's older runs are deleted; 0 keeps them all.  [default: 100]",
)
@click.option(
    "--oidc-issuer",
    metavar="URL",
    help="An OpenID Connect provider whose tokens are accepted too, as 'iss' has it.",
)
@click.option("--oidc-audience", help="For whom its tokens must be ('aud').")
@click.option("--oidc-user-claim", help="Which claim names the user.  [default: sub]")
@click.option(
    "--oidc-role-claim",
    help="Which claim, or path with dots, says what the user is.  [default: roles]",
)
@click.option(
    "--oidc-role",
    "oidc_roles",
    multiple=True,
    metavar="VALUE=ROLE",
    help="What a value of that claim means here, as in lab=researcher. May be repeated; who has "
    "none may do nothing.",
)
@click.option(
    "--metrics/--no-metrics", default=None, help="Whether there is a /metrics.  [default: yes]"
)
@click.option(
    "--metrics-listen",
    metavar="HOST:PORT",
    help="Where /metrics is instead of at the HTTP port.",
)
@click.option(
    "--otlp-endpoint",
    metavar="URL",
    help="Send traces of starts to this OpenTelemetry collector (fedflow[tracing]).  "
    "[default: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere]",
)
@click.option("--log-json", is_flag=True, default=None, help="Log JSON on a terminal too.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.pass_context
def server(context: click.Context, /, **options: Any) -> None:
    """Run a flow server until Ctrl-C or SIGTERM; agents and their workloads go on without it.

    Each option can also be set as FEDFLOW_SERVER_<OPTION>. Serves over TLS, with what
    `fedflow server init` has made.
    """
    if context.invoked_subcommand is not None:
        return
    given = {key: value for key, value in options.items() if value not in (None, ())}
    if "oidc_roles" in given:
        given["oidc_roles"] = dict(_pair(text) for text in given["oidc_roles"])

    from pydantic import ValidationError  # noqa: PLC0415  --help must stay quick

    from flow_server import main  # noqa: PLC0415  the same
    from flow_server import settings as settings_module  # noqa: PLC0415  the same

    try:
        settings = settings_module.ServerSettings(**given)
    except ValidationError as error:
        raise click.UsageError("\n".join(settings_module.problems(error))) from None
    raise SystemExit(main.run(settings))


def _pair(text: str) -> tuple[str, str]:
    # From the right: a role has no "=", and what an issuer calls its groups may.
    value, _, role = text.rpartition("=")
    if not value or not role:
        raise click.UsageError(f"--oidc-role: {text!r} is not VALUE=ROLE")
    return value, role
