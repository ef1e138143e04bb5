"""Code as it was released, unpacked from tests/migration/released and run as processes.

scripts/released_code.py wrote the archives from git. Each is named after the schema that its
code needs.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.e2e.processes.children import DEADLINE_S, environment

FOLDER = Path(__file__).with_name("released")
SUMS = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
SCHEMAS = sorted(name.removesuffix(".tar.gz") for name in SUMS)


class ReleasedCode:
    """One released version, in a directory of its own."""

    def __init__(self, schema: str, folder: Path) -> None:
        archive = FOLDER / f"{schema}.tar.gz"
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        assert found == SUMS[archive.name], f"{archive} is not what was released"
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        self.schema = schema
        self._folder = folder

    @property
    def settings(self) -> dict[str, str]:
        """The environment in which a process imports this code and none of today's."""
        # Safe path: or else the directory that a process is started in comes first.
        return {"PYTHONPATH": f"{self._folder / 'sdk'}:{self._folder}", "PYTHONSAFEPATH": "1"}

    def run(self, script: Path, *arguments: object) -> dict[str, object]:
        """Run a script on this code; return the JSON that it prints."""
        done = subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            env=environment(**self.settings),
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer
