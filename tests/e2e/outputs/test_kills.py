"""Real processes that are killed in the middle of an upload: every byte is there all the same."""

from flow_contract.outputs import PART_BYTES
from tests.e2e.outputs.s3_server import S3Server
from tests.e2e.outputs.scene import PARTY, sums

LARGE_BYTES = 24 * PART_BYTES + 4_321
SMALL = 700
MAKE = (
    "cd $FEDFLOW_OUTPUT_DIR; mkdir -p deep/er; "
    f"head -c {LARGE_BYTES} /dev/urandom > deep/er/model; head -c {PART_BYTES} /dev/zero > zeros; "
    f"for i in $(seq {SMALL}); do echo $i > $i; done"
)


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
    assert sums(tmp_path / "got" / PARTY) == flow.made()
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
        assert sums(tmp_path / "got" / PARTY) == flow.made()
        assert [line.text for line in flow.sdk.task.logs(task_id)] == []
        keys = s3.keys("outputs")
        assert len([key for key in keys if key.startswith("fedflow/outputs/")]) >= 25 + 2
        assert not (tmp_path / "server" / "state" / "blobs").exists()
