"""scripts/base_image.py on a real engine: an image without a registry that anybody can run."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "base_image.py"
BASE = f"fedflow-python:{sys.version_info.major}.{sys.version_info.minor}"

PROBE = """
import asyncio, ctypes, json, os, sqlite3, ssl, sys
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 0
print(os.getuid(), "%d.%d" % sys.version_info[:2])
"""


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env(timeout=120)
    except DockerException as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Docker Engine answers: {problem}")
        pytest.skip(f"no Docker Engine answers: {problem}")
    if shutil.which("busybox") is None and os.environ.get("CI") != "true":
        pytest.skip("busybox-static is not installed")
    yield client
    client.close()


def build(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_user_without_rights_runs_python_in_it(engine: docker.DockerClient) -> None:
    built = build()
    assert built.returncode == 0, built.stderr
    assert built.stdout.strip() == BASE

    said = engine.containers.run(
        BASE,
        ["python3", "-c", PROBE],
        user="65534:65534",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        remove=True,
    )
    assert said.decode().split() == ["65534", BASE.partition(":")[2]]


def test_an_image_stays_while_its_inputs_do_and_changes_with_them(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    name = f"fedflow-test-copy:{uuid.uuid4().hex[:8]}"
    program = tmp_path / "say.py"
    program.write_text("print('one')")
    arguments = ("--copy", f"{program}=/app/say.py", "--name", name)
    try:
        ids = []
        for text in ("print('one')", "print('one')", "print('another')"):
            if program.read_text() != text:
                program.write_text(text)
            built = build(*arguments)
            assert built.returncode == 0, built.stderr
            ids.append(engine.images.get(name).id)
        assert ids[0] == ids[1] != ids[2]
        with pytest.raises(ImageNotFound):
            engine.images.get(ids[0])

        said = engine.containers.run(name, ["python3", "say.py"], network_mode="none", remove=True)
        assert said.decode() == "another\n"
    finally:
        engine.images.remove(name, force=True)


def test_without_an_engine_it_says_so_and_callers_may_go_on(tmp_path: Path) -> None:
    built = build(DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert (built.returncode, built.stdout) == (3, "")
    assert built.stderr == "no Docker Engine answers: no image is built\n"
