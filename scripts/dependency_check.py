"""Checks what Fedflow is built on: pinned, listed with a reason, installed as pinned, advisories.

Usage: dependency_check.py [--root FOLDER] [--audit PIP_AUDIT]. Exit 0 when all holds; 1 with one
line per problem. A check that can't be made here (no advisory service within reach) is a warning
that says so, never a silent success; with --audit-required it is a problem.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
# What makes an environment, and pip-audit itself, are not Fedflow's.
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel", "fedflow"}
AUDIT_TIMEOUT_S = 120
_ROW = re.compile(r"^\| `([A-Za-z0-9._-]+)` \|(.*)\|$")
_COLUMNS = 2


def read_pins(text: str) -> tuple[dict[str, Version], list[str]]:
    """Return what is pinned, and the lines that pin nothing."""
    pins: dict[str, Version] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        where = f"constraints.txt:{number}"
        try:
            requirement = Requirement(entry)
        except InvalidRequirement:
            problems.append(f"{where}: {entry!r} is no requirement; write NAME==VERSION")
            continue
        name = canonicalize_name(requirement.name)
        exact = [spec for spec in requirement.specifier if spec.operator == "=="]
        if len(exact) != 1 or len(requirement.specifier) != 1 or "*" in exact[0].version:
            problems.append(f"{where}: {name} is not pinned; write {name}==VERSION")
        elif name in pins:
            problems.append(f"{where}: {name} is pinned twice")
        else:
            pins[name] = Version(exact[0].version)
    return pins, problems


def read_required(text: str) -> list[Requirement]:
    """Return what a pyproject.toml asks for, extras and build included."""
    document = tomllib.loads(text)
    project = document["project"]
    texts = [
        *document["build-system"]["requires"],
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    return [Requirement(each) for each in texts]


def problems_of_ranges(required: list[Requirement], pins: dict[str, Version]) -> Iterator[str]:
    """Say what asks for no least version, or closes the way up; an exact one does neither."""
    for requirement in required:
        name = canonicalize_name(requirement.name)
        operators = {spec.operator for spec in requirement.specifier}
        if operators not in ({">="}, {"=="}):
            yield f"pyproject.toml: {requirement}: write {name}>=VERSION, open above"
        if name in pins and pins[name] not in requirement.specifier:
            yield f"constraints.txt: {name}=={pins[name]} is not what pyproject.toml asks for"


def problems_of_reasons(required: list[Requirement], text: str) -> Iterator[str]:
    """Say what docs/dependencies.md gives no reason for, and what it names without need."""
    given = dict(match.groups() for line in text.splitlines() if (match := _ROW.match(line)))
    reasons = {canonicalize_name(name): cells.split("|") for name, cells in given.items()}
    wanted = {canonicalize_name(each.name) for each in required}
    for name in sorted(wanted):
        cells = [cell.strip() for cell in reasons.get(name, [])]
        if len(cells) != _COLUMNS or not all(cells):
            yield f"docs/dependencies.md: a line | `{name}` | why | what it replaces | is missing"
    for name in sorted(reasons.keys() - wanted):
        yield f"docs/dependencies.md: {name} is in no pyproject.toml any more"


def problems_of_installed(
    installed: dict[str, Version], pins: dict[str, Version], required: list[Requirement]
) -> Iterator[str]:
    """Say what is installed otherwise than pinned, or not pinned at all."""
    exact = {
        canonicalize_name(each.name): Version(spec.version)
        for each in required
        for spec in each.specifier
        if spec.operator == "=="
    }
    for name, version in sorted(installed.items()):
        pinned = pins.get(name) or exact.get(name)
        if name in OF_THE_ENVIRONMENT:
            continue
        if pinned is None:
            yield f"installed: {name} {version} is not in constraints.txt; pin it or remove it"
        elif pinned != version:
            yield f"installed: {name} {version}, but constraints.txt says {pinned}"


def needed(required: list[Requirement]) -> dict[str, Version]:
    """Return what is installed here because of `required`, with all that it needs in turn."""
    found: dict[str, Version] = {}
    waiting = [(each, "") for each in required]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or (
            requirement.marker and not requirement.marker.evaluate({"extra": extra})
        ):
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found[name] = Version(distribution.version)
        for text in distribution.requires or ():
            waiting += [(Requirement(text), each) for each in ("", *requirement.extras)]
    return found


def audited(command: str | None, constraints: Path) -> tuple[list[str], str]:
    """Return (advisories that apply, why not everything could be asked about)."""
    if command is None:
        return [], "pip-audit is not installed: no advisory was looked up"
    try:
        done = subprocess.run(
            [command, "-r", str(constraints), "--no-deps", "--disable-pip", "-f", "json",
             "--progress-spinner", "off"],
            capture_output=True, text=True, timeout=AUDIT_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"pip-audit did not end well ({error}): no advisory was looked up"
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [], f"the advisory service does not answer: {last[:300]}"
    found = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability.get('fix_versions') or ['no version yet'])}"
        for one in answers
        for vulnerability in one.get("vulns", ())
    ]
    # Where a package index without advisories answers, pip-audit says that all is well.
    skipped = [one for one in answers if "skip_reason" in one]
    if skipped:
        first = f"{skipped[0]['name']}: {skipped[0]['skip_reason']}"
        return found, f"{len(skipped)} of {len(answers)} could not be asked about ({first})"
    return found, "" if answers else "pip-audit looked at nothing"


def main() -> int:
    """Check, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT)
    beside = Path(sys.executable).with_name("pip-audit")
    parser.add_argument(
        "--audit", default=str(beside) if beside.exists() else shutil.which("pip-audit")
    )
    parser.add_argument("--audit-required", action="store_true")
    options = parser.parse_args()
    constraints = options.root / "constraints.txt"
    pins, problems = read_pins(constraints.read_text())
    required = read_required((options.root / "pyproject.toml").read_text())
    problems += problems_of_ranges(required, pins)
    problems += problems_of_reasons(
        required, (options.root / "docs" / "dependencies.md").read_text()
    )
    problems += problems_of_installed(needed(required), pins, required)
    advisories, unasked = audited(options.audit, constraints)
    problems += [f"advisory: {line}" for line in advisories]
    if unasked and options.audit_required:
        problems.append(f"advisories: {unasked}")
    elif unasked:
        print(f"WARNING advisories were NOT checked: {unasked}", file=sys.stderr)
    for line in problems:
        print(line, file=sys.stderr)
    if not problems:
        print(f"{len(pins)} pins, {len(required)} requirements: as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
