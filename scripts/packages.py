"""Packages installed into a folder of their own, with the size said before the download.

packages.py REQUIREMENT …       install into this interpreter's own environment
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".fedflow" / "packages"
LOOK_UP_TIMEOUT_S = 20
WORTH_SAYING_BYTES = 50_000_000


def install(packages: list[str], *, constraints: Path) -> Path:
    """Return a folder that holds `packages` and all that they need; made once, then reused.

    Raises:
        subprocess.CalledProcessError: pip could not install them, and has said why.
    """
    key = "\n".join([*sorted(packages), constraints.read_text(), sys.version, sys.platform])
    site = CACHE / hashlib.sha256(key.encode()).hexdigest()[:16]
    if site.exists():
        return site
    say_size(packages, constraints=constraints)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        target = Path(scratch) / "site"
        pip("install", "--quiet", "--constraint", str(constraints), "--target", str(target),
             *packages)  # fmt: skip
        # Renamed when complete: an interrupted download is not taken for an installation.
        shutil.move(target, site)
    return site


def requirements_of_examples(*names: str) -> list[str]:
    """Return what pyproject.toml requires of these packages for the examples."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        line
        for line in project["optional-dependencies"]["examples"]
        if re.split(r"[<>=!~\[ ]", line)[0] in names
    ]


def install_here(packages: list[str], *, constraints: Path) -> None:
    """Install what is missing of `packages` for this interpreter.

    Raises:
        subprocess.CalledProcessError: pip could not install them, and has said why.
    """
    say_size(packages, constraints=constraints, into_here=True)
    pip("install", "--quiet", "--constraint", str(constraints), *packages)


def say_size(packages: list[str], *, constraints: Path, into_here: bool = False) -> None:
    """Print how much `packages` are going to download, if that is much.

    With `into_here` what this interpreter already has doesn't count.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        fresh = () if into_here else ("--ignore-installed",)
        pip("install", "--quiet", "--dry-run", *fresh, "--report", str(report),
             "--constraint", str(constraints), *packages)  # fmt: skip
        found = json.loads(report.read_text())["install"]
    sizes_bytes = [_size_bytes(item["download_info"]["url"]) for item in found]
    total_bytes = sum(size for size in sizes_bytes if size is not None)
    at_least = "at least " if None in sizes_bytes else ""
    if total_bytes >= WORTH_SAYING_BYTES or at_least:
        print(
            f"{' '.join(packages)}: going to download {at_least}{total_bytes / 1e6:.0f} MB",
            file=sys.stderr,
        )


def _size_bytes(url: str) -> int | None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return Path(urllib.parse.unquote(parts.path)).stat().st_size
    if parts.scheme != "https":
        return None
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=LOOK_UP_TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length")
    except OSError:
        return None
    return int(length) if length else None


def pip(*arguments: str) -> None:
    """Run this interpreter's pip. Raises subprocess.CalledProcessError; pip has said why."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    try:
        install_here(sys.argv[1:], constraints=ROOT / "constraints.txt")
    except subprocess.CalledProcessError as problem:
        sys.exit(problem.returncode)
