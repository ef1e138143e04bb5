"""Keep a released version's code for tests/migration: what of it runs, packed from git.

    python scripts/released_code.py SCHEMA GIT_REVISION
    python scripts/released_code.py 0001 f604c58ecc71

The revision is the last one before the next migration was added. The same revision makes the
same bytes; their SHA-256 is written beside them, and the tests check it.
"""

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tests" / "migration" / "released"
WHAT_RUNS = ("flow_server", "party_agent", "sdk", "migrations")


def main(schema: str, revision: str) -> None:
    """Write SCHEMA.tar.gz and its line in SHA256SUMS."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    # A commit's hash stands in git's archive, so that a file says where it comes from.
    packed = gzip.compress(_git("archive", "--format=tar", commit, *WHAT_RUNS), 9, mtime=0)
    (FOLDER / f"{schema}.tar.gz").write_bytes(packed)
    sums = FOLDER / "SHA256SUMS"
    others = [
        line
        for line in (sums.read_text().splitlines() if sums.exists() else [])
        if not line.endswith(f" {schema}.tar.gz")
    ]
    line = f"{hashlib.sha256(packed).hexdigest()}  {schema}.tar.gz"
    sums.write_text("\n".join(sorted([*others, line], key=lambda each: each[66:])) + "\n")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
