"""A container writes to /output and sends a file over its socket: both come out, no link does."""

import shutil

import pytest

from tests.e2e.processes.children import until
from tests.engine import connect_or_skip
from tests.images import ensure_busybox_image
from tests.workloads.pages import compiled

MAKE = (
    "cd /output; mkdir a; echo 1 > a/one; head -c 20000000 /dev/zero > zeros; "
    "ln -s /etc/shadow shadow; ln -s /data data; mkfifo pipe; /data/workload"
)


@pytest.fixture(scope="module")
def image():
    client = connect_or_skip()
    yield ensure_busybox_image(client)
    client.close()


@pytest.mark.docker
def test_what_a_container_leaves_and_sends_comes_out(scene, image, tmp_path):
    flow = scene(runtime="docker")
    shutil.copy(compiled(tmp_path), flow.site.data / "workload")
    task_id = flow.started(f"{MAKE}", image=image, data="scans")
    until(lambda: flow.party(task_id)["complete"], lambda: flow.site.log)
    assert flow.sdk.task.download(task_id, tmp_path / "got")["ret_code"] == 0
    folder = tmp_path / "got" / "hospital-a"
    assert (folder / "a" / "one").read_text() == "1\n"
    assert (folder / "zeros").read_bytes() == bytes(20_000_000)
    assert (folder / "model.txt").read_text().startswith("weights")
    assert sorted(path.name for path in folder.iterdir()) == ["a", "model.txt", "zeros"]
    skipped = {one["name"]: one["why"] for one in flow.party(task_id)["skipped"]}
    assert set(skipped) == {"shadow", "data", "pipe"}
    assert "symbolic link" in skipped["shadow"]
