"""The generated code in sdk/flow_wire is what proto/ says; `make proto` makes it so."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIRE = ROOT / "sdk" / "flow_wire"


def generated(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*_pb2*.py*"))}


def test_generated_code_is_what_make_proto_writes_today(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "proto.sh", tmp_path],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    fresh, stored = generated(tmp_path / "flow_wire"), generated(WIRE)

    assert sorted(stored) == sorted(fresh), "run `make proto` and commit what it writes"
    for name, text in fresh.items():
        assert stored[name] == text, f"sdk/flow_wire/{name} is stale: run `make proto`"
