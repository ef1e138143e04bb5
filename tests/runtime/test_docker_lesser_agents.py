"""Agents that are not root, or see other processes than their engine: a sidecar helps them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from party_agent.runtime.docker_engine import addresses

pytestmark = pytest.mark.docker

AGENT = Path(__file__).with_name("lesser_agent.py")
ROOT = AGENT.parents[2]
SOMEBODY = 12_345
DEADLINE_S = 300


@pytest.fixture
def folder(python_image: None, engine: docker.APIClient) -> Iterator[Path]:
    """A directory that any user can reach, as pytest's own is not."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    made = Path(tempfile.mkdtemp(prefix="fedflow-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def said_by(folder: Path, *who: int, before: tuple[str, ...] = ()) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, str(AGENT), str(folder), *map(str, who)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'sdk'}:{ROOT}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = ("unavailable", "dialled", "dials", "[]")
    return [line for line in done.stdout.splitlines() if line in words]


def test_an_agent_that_is_not_root_has_sockets_all_the_same(folder: Path) -> None:
    os.chown(folder, SOMEBODY, SOMEBODY)
    engine = Path(addresses.DEFAULT_URL.removeprefix("unix://")).stat().st_gid
    said = said_by(folder, SOMEBODY, engine)
    assert said == ["dialled", "dials", "[]"]


def test_an_agent_that_does_not_see_the_engine_s_processes_finds_that_out(folder: Path) -> None:
    said = said_by(folder, before=("unshare", "--pid", "--fork", "--mount-proc"))
    assert said == ["unavailable", "dialled", "dials", "[]"]
