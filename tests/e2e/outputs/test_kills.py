"""Real processes that are killed in the middle of an upload: every byte is there all the same."""

import hashlib
from contextlib import ExitStack

import pytest

from flow_contract.outputs import PART_BYTES
from flow_server_sdk import FlowServerSdk
from tests.e2e.outputs.s3_server import S3Server
from tests.e2e.processes.children import until
from tests.e2e.processes.federation import Server, Site

PARTY = "hospital-a"
LARGE_BYTES = 24 * PART_BYTES + 4_321
SMALL = 700
MAKE = (
    "cd $FEDFLOW_OUTPUT_DIR; mkdir -p deep/er; "
    f"head -c {LARGE_BYTES} /dev/urandom > deep/er/model; head -c {PART_BYTES} /dev/zero > zeros; "
    f"for i in $(seq {SMALL}); do echo $i > $i; done"
)


class Scene:
    """One server and one site as processes, and a client."""

    def __init__(self, stack, cluster, folder, *options, **settings):
        name = cluster.create(migrated=True)
        stack.callback(cluster.drop, name)
        self.server = Server(
            folder / "server",
            "--database-url",
            cluster.url(name),
            "--state-dir",
            folder / "server" / "state",
            *options,
            **settings,
        )
        stack.callback(self.server.kill)
        self.server.start()
        self.site = Site(folder / "site", PARTY, self.server, "--runtime", "process")
        stack.callback(self.site.kill)
        self.site.start()
        host, port = self.server.address.rsplit(":", 1)
        self.sdk = stack.enter_context(FlowServerSdk(host, port))

    def started(self, command):
        template = self.sdk.template.create("make", "image:1", "/", ["sh", "-c", command])
        parties = [{"federated_id": PARTY, "federated_data": ""}]
        template_id = template["data"]["template_id"]
        task = self.sdk.task.create("make files", template_id, "", parties)
        task_id = task["data"]["task_id"]
        assert self.sdk.task.start(task_id)["ret_code"] == 0
        return task_id

    def party(self, task_id):
        return self.sdk.task.outputs(task_id)["data"]["parties"][0]

    def until(self, task_id, is_so):
        """Wait until it is so of what the party has made."""
        until(lambda: is_so(self.party(task_id)), lambda: self.party(task_id))

    def made(self):
        """Return {name: SHA-256} of what the only workload left."""
        (folder,) = (self.site.folder / "state" / "outputs").iterdir()
        return _sums(folder)


def _sums(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def scene(cluster, tmp_path):
    with ExitStack() as stack:
        yield lambda *options, **settings: Scene(stack, cluster, tmp_path, *options, **settings)


def coming_bytes(party):
    return sum(one["stored_bytes"] for one in party["coming"])


def test_kills_in_the_middle_of_an_upload_cost_no_byte(scene, tmp_path):
    flow = scene()
    task_id = flow.started(MAKE)
    for share, child in ((0.1, flow.server), (0.3, flow.site), (0.5, flow.server)):
        flow.until(
            task_id,
            lambda party, share=share: (
                coming_bytes(party) >= share * LARGE_BYTES or party["complete"]
            ),
        )
        child.kill()
        child.start()
    flow.until(task_id, lambda party: party["complete"])
    party = flow.party(task_id)
    assert (party["files"], party["skipped_count"]) == (SMALL + 2, 0)
    assert flow.sdk.task.download(task_id, tmp_path / "got")["ret_code"] == 0
    assert _sums(tmp_path / "got" / PARTY) == flow.made()
    # Resumed, and not begun again: of what is rubbish there is nothing.
    blobs = tmp_path / "server" / "state" / "blobs" / "outputs"
    large = [path.parent for path in blobs.rglob(f"{24:08}")]
    assert len(large) == 1


def test_all_of_it_lies_in_s3_as_well(scene, tmp_path):
    with S3Server() as s3:
        s3.make_bucket("outputs")
        flow = scene("--blob-url", "s3://outputs/fedflow", **s3.environment)
        task_id = flow.started(MAKE)
        flow.until(
            task_id,
            lambda party: coming_bytes(party) > 2 * PART_BYTES or party["complete"],
        )
        flow.server.kill()
        flow.server.start()
        flow.until(task_id, lambda party: party["complete"])
        assert flow.sdk.task.download(task_id, tmp_path / "got")["ret_code"] == 0
        assert _sums(tmp_path / "got" / PARTY) == flow.made()
        assert [line.text for line in flow.sdk.task.logs(task_id)] == []
        keys = s3.keys("outputs")
        assert len([key for key in keys if key.startswith("fedflow/outputs/")]) >= 25 + 2
        assert not (tmp_path / "server" / "state" / "blobs").exists()
