"""Outputs from a workload to the server, through a real agent and a real server, both hurt."""

import asyncio
import hashlib

from flow_contract.outputs import PART_BYTES

LARGE_BYTES = 5 * PART_BYTES + 12_345
MAKE_LARGE = f"head -c {LARGE_BYTES} /dev/urandom > $FEDFLOW_OUTPUT_DIR/model"


async def test_what_a_workload_left_is_at_the_server_when_it_has_ended(stage):
    site = stage.site()
    await site.start()
    command = f"cd $FEDFLOW_OUTPUT_DIR; mkdir -p a/b; echo 1 > a/b/one; : > none; {MAKE_LARGE}"
    task_id = await stage.started(command)
    party = await stage.complete(task_id)
    assert (party.files, party.closed.skipped_count, party.closed.withheld) == (3, 0, "")
    assert await stage.contents(task_id) == {
        "a/b/one": b"1\n",
        "none": b"",
        "model": site.made("model"),
    }
    async with asyncio.timeout(20):
        # Nothing tells a test that the agent has removed its notes.
        while list(site.uploads.iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(site.made("model")) == LARGE_BYTES


async def test_what_a_workload_sends_is_there_while_it_runs(stage):
    site = stage.site()
    await site.start()
    command = (
        'cd "$(dirname "$FEDFLOW_API")"; '
        "put() { curl -sS --fail --unix-socket api.sock -T $1 http://f/v1/outputs/$2; }; "
        f"{MAKE_LARGE}; put $FEDFLOW_OUTPUT_DIR/model checkpoints/1; "
        "echo two > $TMPDIR/x; put $TMPDIR/x two; "
        "while [ ! -e $FEDFLOW_OUTPUT_DIR/go ]; do sleep 0.05; done"
    )
    task_id = await stage.started(command)
    party = await stage.until(task_id, lambda party: party.files == 2)
    assert not party.complete
    assert await stage.contents(task_id) == {"checkpoints/1": site.made("model"), "two": b"two\n"}
    (folder,) = site.outputs.iterdir()
    (folder / "go").touch()
    assert (await stage.complete(task_id)).files == 4


async def test_no_byte_is_lost_or_repeated_while_agent_and_server_are_restarted(stage):
    site = stage.site()
    await site.start()
    command = (
        f"cd $FEDFLOW_OUTPUT_DIR; for i in 1 2 3; do head -c {LARGE_BYTES} /dev/urandom > $i; done;"
        "for i in $(seq 300); do echo $i > small-$i; done"
    )
    task_id = await stage.started(command)
    await stage.until(task_id, lambda party: party.coming)
    for _ in range(2):
        await site.kill()
        await site.start()
        await asyncio.sleep(0.1)
        await stage.restart_server()
    party = await stage.complete(task_id)
    assert party.files == 303
    got = await stage.contents(task_id)
    (folder,) = site.outputs.iterdir()
    wanted = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert {name: hashlib.sha256(value).hexdigest() for name, value in got.items()} == wanted


async def test_hostile_entries_stay_and_are_told(stage):
    site = stage.site()
    await site.start()
    command = (
        "cd $FEDFLOW_OUTPUT_DIR; ln -s /etc/shadow shadow; ln -s /etc etc; mkfifo pipe; "
        "printf x > \"$(printf 'new\\nline')\"; printf x > \"$(printf 'bad\\377')\"; "
        "echo 1 > good; ln good twin; ln -s good inside"
    )
    task_id = await stage.started(command)
    party = await stage.complete(task_id)
    assert await stage.contents(task_id) == {"good": b"1\n", "twin": b"1\n"}
    told = {one.name: one.why for one in party.closed.skipped}
    assert party.closed.skipped_count == 6
    assert set(told) == {"shadow", "etc", "inside", "pipe", "new\\nline", "bad\\udcff"}
    assert "symbolic link" in told["shadow"]
    assert "FIFO" in told["pipe"]
    assert "control character" in told["new\\nline"]
    assert "UTF-8" in told["bad\\udcff"]


async def test_a_site_that_keeps_its_outputs_tells_the_rule_and_no_more(stage, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text("[leave]\noutputs = false\n")
    site = stage.site(policy=policy)
    await site.start()
    command = (
        'echo secret > $FEDFLOW_OUTPUT_DIR/secret; cd "$(dirname "$FEDFLOW_API")"; '
        "curl -sS --unix-socket api.sock -T $FEDFLOW_OUTPUT_DIR/secret http://f/v1/outputs/s "
        "> $FEDFLOW_OUTPUT_DIR/answer"
    )
    task_id = await stage.started(command)
    party = await stage.complete(task_id)
    assert (party.files, party.closed.withheld) == (0, "leave.outputs")
    assert not party.closed.skipped
    assert b"leave.outputs" in site.made("answer")


async def test_what_is_more_than_the_rule_lets_leave_stays(stage, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text("[leave]\noutputs = true\noutputs_max_bytes = 10\n")
    site = stage.site(policy=policy)
    await site.start()
    task_id = await stage.started(
        "cd $FEDFLOW_OUTPUT_DIR; printf 12345678 > a; printf 12345678 > b; printf 12 > c"
    )
    party = await stage.complete(task_id)
    assert (party.files, party.closed.withheld) == (2, "leave.outputs_max_bytes")
    assert set(await stage.contents(task_id)) == {"a", "c"}


async def test_the_operator_s_limits_are_told_by_file(stage):
    site = stage.site(output_bytes_per_file=5, output_files_per_run=2)
    await site.start()
    task_id = await stage.started(
        "cd $FEDFLOW_OUTPUT_DIR; printf 123456 > a; printf 1 > b; printf 1 > c; printf 1 > d"
    )
    party = await stage.complete(task_id)
    assert party.closed.skipped_count == 2
    assert "more than the 5 bytes" in " ".join(one.why for one in party.closed.skipped)


async def test_thousands_of_small_files_take_few_transactions(stage):
    site = stage.site()
    await site.start()
    task_id = await stage.started(
        "cd $FEDFLOW_OUTPUT_DIR; seq 5000 | split -l 1 -a 4 - file-; ls | wc -l"
    )
    party = await stage.complete(task_id)
    assert party.files == 5000
    blobs = stage.server._settings.state_dir / "blobs" / "outputs"
    assert len([path for path in blobs.rglob("*") if path.is_file()]) == 10
