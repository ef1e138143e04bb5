"""What the site's rules would say of a template, before anything is sent; for the site's people."""

import difflib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flow_contract.reasons import Reason
from flow_contract.templates import TemplateSpec
from party_agent.policy import data, decide
from party_agent.policy.decide import Finding
from party_agent.policy.request import Request, request_of_template
from party_agent.policy.rules import Rules
from party_agent.runtime.port import RuntimeRefused

_TEMPLATE = TypeAdapter(TemplateSpec)
_FIELDS = tuple(TemplateSpec.__dataclass_fields__)


class TemplateUnreadable(Exception):
    """The template's file can't be read, or is no template; the message says all that is wrong."""


def read_template(path: Path) -> TemplateSpec:
    """Return the template in a .json, .yaml, .yml or .toml file, with the names of its fields.

    Raises:
        TemplateUnreadable: it can't be read, or is no template.
    """
    try:
        document = _parsed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TemplateUnreadable(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise TemplateUnreadable(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise TemplateUnreadable(f"{path}: must hold one template: a mapping of its fields")
    problems = [_unknown(str(key)) for key in document if key not in _FIELDS]
    try:
        spec = _TEMPLATE.validate_python(document)
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    else:
        if not problems:
            return spec
    raise TemplateUnreadable("\n".join(f"{path}: {problem}" for problem in problems))


def explain(
    rules: Rules, spec: TemplateSpec, *, data_name: str = "", user: str | None = None
) -> tuple[Finding, ...]:
    """Return what every rule says, the last ones from a look at the site's disks."""
    request = request_of_template(spec, federated_id="", data_name=data_name, user=user)
    # Whose agent it is for is no question of a template's.
    judged = (each for each in decide.judge(rules, request) if each.rule != decide.REQUEST_PARTY)
    return (*judged, *_places(rules, request), _approval(rules))


def missing_data(rules: Rules) -> Iterable[str]:
    """Yield a line for each data set that is not where the rules say."""
    names = {name: replace(rule, users=None) for name, rule in rules.data.names.items()}
    for name in names:
        try:
            data.resolve(replace(rules.data, names=names), name)
        except RuntimeRefused as refusal:
            what = "lies outside data.roots" if _is_outside(refusal) else "there is no such path"
            yield f"data.names.{name}.path: {what}"


def _places(rules: Rules, request: Request) -> Iterable[Finding]:
    for name in request.data_names:
        try:
            place = data.resolve(rules.data, name, user=request.requested_by)
        except RuntimeRefused as refusal:
            rule = decide.DATA_ROOTS if _is_outside(refusal) else decide.DATA_NAMES
            if refusal.reason is Reason.POLICY_DENIED:
                rule = decide.DATA_USERS
            yield Finding(rule=rule, is_allowed=False, detail=f"{name!r} on this machine")
        else:
            yield Finding(rule=decide.DATA_ROOTS, is_allowed=True, detail=f"{name!r} is {place}")


def _approval(rules: Rules) -> Finding:
    detail = "someone at the site says yes to each run" if rules.approval.is_manual else "automatic"
    return Finding(rule=decide.APPROVAL_MODE, is_allowed=True, detail=detail)


def _is_outside(refusal: RuntimeRefused) -> bool:
    return refusal.reason is Reason.DATA_OUTSIDE_ROOTS


def _parsed(path: Path, text: str) -> Any:
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix in (".yaml", ".yml"):
        # Only who writes YAML pays for its import.
        import yaml  # noqa: PLC0415  see above

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"is not YAML: {error}") from None
    return json.loads(text)


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, _FIELDS, n=1)
    hint = f"did you mean {close[0]}?" if close else "a template has no such field"
    return f"{key}: is not known; {hint}"
