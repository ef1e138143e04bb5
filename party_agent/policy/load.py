"""A policy file's text as rules, or all that is wrong with it at once, each with its line."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from party_agent.policy import fields
from party_agent.policy.data import DATA_NAME
from party_agent.policy.fields import Check, Wrong
from party_agent.policy.lines import KeyPath, lines_of
from party_agent.policy.rules import (
    ApprovalRules,
    CommandRules,
    DataRule,
    DataRules,
    ImageRules,
    Limits,
    MayLeave,
    NetworkMode,
    Rules,
    TunnelRules,
)

MAX_FILE_BYTES = 1024 * 1024
MANUAL = "manual"

_AT = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")

_KEYS: dict[str, dict[str, Check]] = {
    "images": {
        "allowed": fields.globs,
        "registries": fields.globs,
        "digests": fields.digests,
        "require_digest": fields.boolean,
    },
    "commands": {"allowed": fields.commands, "env": fields.globs},
    "users": {"allowed": fields.globs},
    "templates": {"allowed": fields.globs},
    "limits": {
        "max_cpus": fields.positive,
        "max_memory_bytes": fields.size_bytes,
        "max_gpus": fields.count,
        "max_run_time_s": fields.seconds,
        "max_concurrent_runs": fields.count,
    },
    "network": {"mode": fields.one_of(*NetworkMode)},
    "tunnel": {
        "max_bytes_per_s": fields.rate,
        "max_run_bytes_per_s": fields.rate,
        "max_connections": fields.count,
        "listen": fields.address,
        "address": fields.address,
        "dial": fields.globs,
    },
    "leave": {
        "logs": fields.boolean,
        "logs_max_bytes": fields.size_bytes,
        "metrics": fields.boolean,
        "metrics_max_bytes": fields.size_bytes,
        "outputs": fields.boolean,
        "outputs_max_bytes": fields.size_bytes,
    },
    "sessions": {"allowed": fields.boolean},
    "approval": {"mode": fields.one_of("automatic", MANUAL), "timeout_s": fields.seconds},
}
_DATA: dict[str, Check] = {"roots": fields.paths, "absolute_paths": fields.boolean}
_DATA_SET: dict[str, Check] = {"path": fields.absolute, "users": fields.globs}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a policy file. `line` counts from 1."""

    line: int
    key: str
    message: str

    def text(self, name: str) -> str:
        """Return it as one line for people, `name` being the file's."""
        key = f" {self.key}" if self.key else ""
        return f"{name}:{self.line}:{key} {self.message}"


class PolicyInvalid(Exception):
    """A policy file that can't be followed. `problems` are all of them, by line."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.key)))
        super().__init__("\n".join(problem.text(name) for problem in self.problems))


def load(content: bytes, *, name: str = "policy") -> Rules:
    """Return the rules that the file's content states.

    Raises:
        PolicyInvalid: it can't be followed; says all that is wrong with it.
    """
    if len(content) > MAX_FILE_BYTES:
        raise PolicyInvalid(name, [_problem(f"is larger than {MAX_FILE_BYTES} bytes")])
    try:
        text = content.decode("utf-8")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyInvalid(name, [_problem("is not UTF-8 text", line)]) from None
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid(name, [_not_toml(str(error), text)]) from None
    except RecursionError:
        raise PolicyInvalid(name, [_problem("is nested too deeply")]) from None
    told: list[Wrong] = []
    rules = _rules(document, told)
    if told:
        lines = lines_of(text)
        raise PolicyInvalid(name, (_located(wrong, lines) for wrong in told))
    return rules


def _rules(document: dict[str, Any], told: list[Wrong]) -> Rules:
    _only_known((), document, [*_KEYS, "data"], told)
    parts = {
        section: _table((section,), document.get(section, {}), checks, told)
        for section, checks in _KEYS.items()
    }
    approval, tunnel = parts["approval"], parts["tunnel"]
    for one, other in (("listen", "address"), ("address", "listen")):
        if one in tunnel and other not in tunnel:
            message = f"is of no use without tunnel.{other}: others are told the one and dial it"
            told.append(Wrong(path=("tunnel", one), message=message))
    return Rules(
        images=ImageRules(**parts["images"]),
        commands=CommandRules(**parts["commands"]),
        users=parts["users"].get("allowed"),
        templates=parts["templates"].get("allowed"),
        data=_data(document.get("data", {}), told),
        limits=Limits(**parts["limits"]),
        network=NetworkMode(parts["network"].get("mode") or NetworkMode.NONE),
        tunnel=TunnelRules(**tunnel),
        may_leave=MayLeave(**parts["leave"]),
        sessions=parts["sessions"].get("allowed", False),
        approval=ApprovalRules(
            is_manual=approval.get("mode") == MANUAL, timeout_s=approval.get("timeout_s")
        ),
    )


def _data(section: Any, told: list[Wrong]) -> DataRules:
    path: KeyPath = ("data",)
    if not _is_table(path, section, told):
        return DataRules()
    section = dict(section)
    sets = section.pop("names", {})
    plain = _table(path, section, _DATA, told, also="names")
    names: dict[str, DataRule] = {}
    if _is_table((*path, "names"), sets, told):
        for name, each in sets.items():
            at = (*path, "names", name)
            if not DATA_NAME.fullmatch(name):
                what = "can't name data: use 1 to 63 letters, digits, '_', '.' or '-'"
                told.append(Wrong(path=at, message=what))
            found = _table(at, each, _DATA_SET, told)
            if isinstance(each, dict) and "path" not in each:
                told.append(Wrong(path=at, message="needs a path"))
            if found.get("path") is not None:
                names[name] = DataRule(path=found["path"], users=found.get("users"))
                _check_root(at, names[name], plain.get("roots"), told)
    return DataRules(
        names=names,
        roots=plain.get("roots"),
        absolute_paths=plain.get("absolute_paths", False),
    )


def _check_root(
    at: KeyPath, rule: DataRule, roots: tuple[Path | None, ...] | None, told: list[Wrong]
) -> None:
    if roots is not None and not any(root and rule.path.is_relative_to(root) for root in roots):
        told.append(Wrong(path=(*at, "path"), message="must lie in one of data.roots"))


def _table(
    path: KeyPath, value: Any, checks: Mapping[str, Check], told: list[Wrong], *, also: str = ""
) -> dict[str, Any]:
    """Return the checked values of those keys that are there."""
    if not _is_table(path, value, told):
        return {}
    _only_known(path, value, [*checks, *([also] if also else [])], told)
    return {
        key: check((*path, key), value[key], told) for key, check in checks.items() if key in value
    }


def _is_table(path: KeyPath, value: Any, told: list[Wrong]) -> bool:
    if isinstance(value, dict):
        return True
    told.append(Wrong(path=path, message=f"must be a table: write [{_dotted(path)}]"))
    return False


def _only_known(
    path: KeyPath, table: Mapping[str, Any], known: list[str], told: list[Wrong]
) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
            told.append(Wrong(path=(*path, key), message=f"is not known; {hint}"))


def _located(wrong: Wrong, lines: Mapping[KeyPath, int]) -> Problem:
    path = wrong.path
    while path not in lines and path:
        path = path[:-1]
    return Problem(line=lines.get(path, 1), key=_dotted(wrong.path), message=wrong.message)


def _not_toml(message: str, text: str) -> Problem:
    found = _AT.search(message)
    line = int(found["line"]) if found and found["line"] else text.count("\n") + 1
    return _problem(f"is not TOML: {_AT.sub('', message)}", line)


def _problem(message: str, line: int = 1) -> Problem:
    return Problem(line=line, key="", message=message)


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
