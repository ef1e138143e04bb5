"""scripts/ensure_docker.sh where no engine is to be had: it says so in a line, and CI fails."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "ensure_docker.sh"


def ensure(docker_host: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [SCRIPT],
        env={**own, "DOCKER_HOST": docker_host, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def deaf_address(tmp_path: Path) -> str:
    """Return the address of a socket that nobody listens on any more."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    return f"unix://{path}"


def test_without_an_engine_callers_may_go_on(deaf_address: str) -> None:
    done = ensure(deaf_address)
    assert done.returncode == 3
    assert done.stderr == f"no Docker Engine: DOCKER_HOST={deaf_address} does not answer\n"


def test_without_an_engine_ci_fails(deaf_address: str) -> None:
    assert ensure(deaf_address, CI="true").returncode == 1
