"""Logs from a workload's pipes to a user, through a real agent and a real server, both hurt."""

import asyncio

import pytest

from flow_contract.errors import NotFound
from flow_server_sdk import FlowServerSdk
from tests.e2e.log_stage import followed, started
from tests.server.log_client import Reader

LINES = 20_000
EXPECTED = b"".join(b"%d\n" % number for number in range(1, LINES + 1))
# In pieces, so that there is something left to lose at each moment.
COUNT = f"i=0; while [ $i -lt {LINES} ]; do seq $((i+1)) $((i+500)); i=$((i+500)); sleep 0.02; done"


async def test_a_user_follows_what_a_workload_writes_to_its_end(stage):
    site = stage.site()
    await site.start()
    task_id = await started(stage, "seq 3; echo oh >&2")
    got = await followed(stage, task_id)
    assert sorted(got.text().splitlines()) == [b"1", b"2", b"3", b"oh"]
    async with asyncio.timeout(20):
        # Nothing tells a test that the agent has removed its copy.
        while list(site.logs.iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_no_line_is_lost_or_repeated_while_agent_and_server_are_restarted(stage):
    site = stage.site()
    await site.start()
    task_id = await started(stage, COUNT)
    for _ in range(3):
        await site.kill()
        await site.start()
        await stage.restart_server()
    done = await stage.sdk.task.wait(task_id, timeout_s=100)
    assert done["data"]["status"] == "Succeeded", done
    got = await followed(stage, task_id)
    assert got.text() == EXPECTED
    starts = [chunk.start for chunk in got.chunks]
    assert starts == sorted(set(starts))


async def test_a_site_that_keeps_its_logs_pushes_nothing_and_says_so(stage, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("[leave]\nlogs = false\n")
    site = stage.site(policy=policy)
    await site.start()
    task_id = await started(stage, "echo secret")
    await stage.sdk.task.wait(task_id, timeout_s=60)
    await followed(stage, task_id)
    async with Reader(stage.address) as reader:
        got = await reader.read(task_id).to_the_end()
    assert [(party.complete, party.withheld) for party in got.head.parties] == [(True, True)]
    assert got.text() == b""


async def test_the_sdk_gives_lines_of_text_also_while_they_are_written(stage):
    site = stage.site()
    await site.start()
    task_id = await started(stage, "seq 1000; echo oh >&2; printf unfinished")
    async with asyncio.timeout(60):
        lines = [line async for line in stage.sdk.task.logs(task_id, follow=True)]
    assert {line.party for line in lines} == {"hospital-a"}
    out = [line.text for line in lines if line.stream == "stdout"]
    assert out == [*(str(number) for number in range(1, 1001)), "unfinished"]
    assert [line.text for line in lines if line.stream == "stderr"] == ["oh"]
    last = [line.text async for line in stage.sdk.task.logs(task_id, tail=3)]
    assert set(last) <= {"999", "1000", "oh", "unfinished", "998"}

    def blocking():
        host, port = stage.address.rsplit(":", 1)
        with FlowServerSdk(host, port) as sdk:
            return [line.text for line in sdk.task.logs(task_id, party="hospital-a")]

    assert len(await asyncio.to_thread(blocking)) == len(lines)


async def test_a_reader_goes_on_where_it_was_when_the_server_comes_back(stage):
    site = stage.site()
    await site.start()
    task_id = await started(stage, COUNT)
    got = []

    async def follow():
        async for line in stage.sdk.task.logs(task_id, follow=True):
            got.append(line.raw)  # noqa: PERF401  others look at it meanwhile

    reading = asyncio.create_task(follow())
    for wanted in (1, 5_000):
        async with asyncio.timeout(60):
            while len(got) < wanted:  # noqa: ASYNC110  a list tells nobody that it grew
                await asyncio.sleep(0.01)
        await stage.restart_server()
    async with asyncio.timeout(100):
        await reading
    assert got == EXPECTED.split()


async def test_logs_of_no_task_are_told_as_such(stage):
    with pytest.raises(NotFound):
        _ = [line async for line in stage.sdk.task.logs("nobody")]
