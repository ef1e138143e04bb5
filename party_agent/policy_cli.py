"""`fedflow agent policy`: look at a site's rules before anything is sent.

Importing this costs click and nothing else; the rules are imported when a command runs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from party_agent.policy.rules import Rules

F = TypeVar("F", bound=Callable[..., Any])


def _file(command: F) -> F:
    return click.option(
        "--policy",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="FEDFLOW_AGENT_POLICY",
        show_envvar=True,
        required=True,
        help="The policy file.",
    )(command)


@click.group(short_help="Check the site's rules; explain what they say of a template.")
def policy() -> None:
    """Check the site's rules, and explain what they would say of a template."""


@policy.command()
@_file
def check(path: Path) -> None:
    """Say all that is wrong with a policy file, each with its line; exit code 1 if anything is."""
    rules = _loaded(path)
    from party_agent.policy.explain import missing_data  # noqa: PLC0415  --help must stay quick

    missing = list(missing_data(rules))
    for line in missing:
        click.echo(f"{path}: {line}", err=True)
    if missing:
        raise SystemExit(1)
    click.echo(f"{path}: ok")


@policy.command()
@click.argument("template", type=click.Path(dir_okay=False, path_type=Path))
@_file
@click.option("--user", metavar="NAME", help="Who would start it.")
@click.option(
    "--data", "data_name", default="", metavar="NAME", help="The data it would name here."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def explain(template: Path, path: Path, user: str | None, data_name: str, *, as_json: bool) -> None:
    """Say rule by rule what the site would answer to TEMPLATE (.json, .yaml or .toml).

    The exit code is 1 where a rule refuses it. Nothing is sent, and nothing is run.
    """
    rules = _loaded(path)
    from party_agent.policy import explain as explaining  # noqa: PLC0415  --help must stay quick

    try:
        spec = explaining.read_template(template)
    except explaining.TemplateUnreadable as error:
        raise click.ClickException(str(error)) from None
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed; install fedflow[agent], or give JSON"
        ) from None
    findings = explaining.explain(rules, spec, data_name=data_name, user=user)
    refused = [finding.rule for finding in findings if not finding.is_allowed]
    if as_json:
        shown = [
            {"rule": each.rule, "allowed": each.is_allowed, "detail": each.detail}
            for each in findings
        ]
        click.echo(json.dumps({"allowed": not refused, "findings": shown}))
    else:
        for each in findings:
            verdict = "allowed" if each.is_allowed else "REFUSED"
            click.echo(f"{verdict}  {each.rule:<28} {each.detail}")
        answer = f"refused by {refused[0]}" if refused else "allowed"
        click.echo(f"This site's answer: {answer}.")
    if refused:
        raise SystemExit(1)


def _loaded(path: Path) -> "Rules":
    from party_agent.policy.load import PolicyInvalid  # noqa: PLC0415  --help must stay quick
    from party_agent.policy.watch import PolicyFile  # noqa: PLC0415  the same

    try:
        return PolicyFile(path).rules
    except PolicyInvalid as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
