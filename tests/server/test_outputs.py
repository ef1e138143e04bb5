"""Outputs pushed by agents and read by users, on a real server with real blobs."""

import asyncio
from datetime import timedelta

import grpc
import pytest

from flow_contract.lifecycle import PartyRunState
from flow_contract.outputs import PART_BYTES, OutputState, Skipped
from flow_contract.reasons import Reason
from tests.server.flows import make_task
from tests.server.output_client import LARGE, OutputPusher, file_of

ONE = ["hospital-a"]


def blobs_in(tmp_path):
    folder = tmp_path / "state" / "blobs" / "outputs"
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def came(output_reader, task_id):
    """Return how many bytes there are of what is coming."""
    (party,) = (await output_reader.list(task_id)).parties
    return sum(one.stored_bytes for one in party.coming)


async def test_a_large_file_is_seen_once_it_is_whole_and_read_from_any_offset(
    running_one, pusher, output_reader
):
    task_id, _, _ = running_one
    (answer,) = await pusher.offer(file_of("models/final.pt", LARGE))
    assert (answer.state, answer.stored_bytes) == (OutputState.OPEN, 0)
    await pusher.pieces(LARGE)
    assert await output_reader.names(task_id) == {}
    assert (await pusher.finish(LARGE)).state is OutputState.STORED
    assert await output_reader.names(task_id) == {"models/final.pt": len(LARGE)}
    assert await output_reader.content(task_id, "models/final.pt") == LARGE
    for offset in (1, PART_BYTES, PART_BYTES + 7, len(LARGE)):
        head, content = await output_reader.download(task_id, "models/final.pt", offset=offset)
        assert content == LARGE[offset:]
        assert head.bytes == len(LARGE)


async def test_an_upload_that_was_cut_goes_on_where_the_server_has_it(
    server, running_one, output_reader
):
    task_id, _, party_run_id = running_one
    async with OutputPusher(server.agents_address) as first:
        await first.hello(party_run_id)
        await first.offer(file_of("model", LARGE))
        await first.pieces(LARGE[: 2 * PART_BYTES + 5_000])
        async with asyncio.timeout(30):
            # Nothing tells a test that a part counts.
            while await came(output_reader, task_id) < PART_BYTES:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    async with OutputPusher(server.agents_address) as second:
        await second.hello(party_run_id)
        (answer,) = await second.offer(file_of("model", LARGE))
        assert answer.stored_bytes in (PART_BYTES, 2 * PART_BYTES)
        await second.pieces(LARGE, answer.stored_bytes)
        assert (await second.finish(LARGE)).state is OutputState.STORED
    assert await output_reader.content(task_id, "model") == LARGE


async def test_a_file_that_is_there_is_not_sent_again(running_one, pusher):
    await pusher.push("model", LARGE)
    (again,) = await pusher.offer(file_of("model", LARGE))
    assert (again.state, again.stored_bytes) == (OutputState.STORED, len(LARGE))
    await pusher.pack({"log.txt": b"x"})
    (again,) = await pusher.offer(file_of("log.txt", b"x", "b" * 32))
    assert again.state is OutputState.STORED


async def test_bytes_that_are_not_those_of_the_digest_are_discarded_and_it_is_said(
    running_one, pusher, output_reader
):
    task_id, _, _ = running_one
    await pusher.offer(file_of("model", LARGE))
    await pusher.pieces(LARGE[:-1] + b"?")
    broken = await pusher.finish(LARGE)
    assert broken.state is OutputState.BROKEN
    assert "SHA-256" in broken.why
    answers = await pusher.pack({"good": b"1", "bad": b"2"}, sums={"bad": b"0" * 32})
    assert [answer.state for answer in answers] == [OutputState.STORED, OutputState.BROKEN]
    assert await output_reader.names(task_id) == {"good": 1}
    assert not (await output_reader.list(task_id)).parties[0].coming
    assert (await pusher.push("model", LARGE)).state is OutputState.STORED
    assert await output_reader.content(task_id, "model") == LARGE


async def test_many_small_files_are_one_blob_and_are_read_one_by_one(
    running_one, pusher, output_reader, tmp_path
):
    task_id, _, _ = running_one
    contents = {f"folder/{number}": b"%d" % number * number for number in range(500)}
    answers = await pusher.pack(contents)
    assert {answer.state for answer in answers} == {OutputState.STORED}
    assert len(blobs_in(tmp_path)) == 1
    assert await output_reader.names(task_id) == {
        name: len(value) for name, value in contents.items()
    }
    for name in ("folder/0", "folder/1", "folder/257", "folder/499"):
        assert await output_reader.content(task_id, name) == contents[name]


async def test_a_newer_file_takes_the_place_of_an_older_one_whole(
    running_one, pusher, output_reader, tmp_path, keeping
):
    task_id, _, _ = running_one
    await pusher.push("checkpoint", LARGE)
    newer = LARGE[::-1]
    await pusher.offer(file_of("checkpoint", newer, "c" * 32))
    await pusher.pieces(newer)
    head, content = await output_reader.download(task_id, "checkpoint")
    assert content == LARGE
    await pusher.finish(newer)
    assert await output_reader.content(task_id, "checkpoint") == newer
    assert len(blobs_in(tmp_path)) == 6
    await keeping().sweep()
    assert len(blobs_in(tmp_path)) == 3
    assert await output_reader.content(task_id, "checkpoint") == newer
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await output_reader.download(task_id, "checkpoint", offset=5, sha256=head.sha256)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "another file" in caught.value.details()


async def test_a_pack_goes_when_the_last_of_its_files_was_replaced(
    running_one, pusher, output_reader, tmp_path, keeping
):
    task_id, _, _ = running_one
    await pusher.pack({"a": b"a1", "b": b"b1"})
    await pusher.pack({"a": b"a2"}, upload_id="c" * 32)
    await keeping().sweep()
    assert len(blobs_in(tmp_path)) == 2
    await pusher.pack({"b": b"b2"}, upload_id="c" * 32)
    await keeping().sweep()
    assert len(blobs_in(tmp_path)) == 2
    assert await output_reader.content(task_id, "a") == b"a2"
    assert await output_reader.content(task_id, "b") == b"b2"


async def test_of_two_connections_that_bring_the_same_file_it_is_there_once(
    server, running_one, output_reader
):
    task_id, _, party_run_id = running_one

    async def push():
        while True:
            async with OutputPusher(server.agents_address) as one:
                await one.hello(party_run_id)
                try:
                    return await one.push("model", LARGE)
                except (AssertionError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await asyncio.sleep(0)

    async with asyncio.timeout(60):
        done = await asyncio.gather(push(), push(), push())
    assert {answer.state for answer in done} == {OutputState.STORED}
    assert await output_reader.content(task_id, "model") == LARGE


async def test_last_words_are_shown_and_nothing_follows_them(
    server, running_one, pusher, output_reader
):
    task_id, _, party_run_id = running_one
    await pusher.push("model", LARGE)
    await pusher.offer(file_of("half", LARGE, "d" * 32))
    skipped = (Skipped(name="link", why="a symbolic link; links are not followed"),)
    state = await pusher.close(withheld="leave.outputs", skipped=skipped, skipped_count=7)
    assert state is OutputState.STORED
    (party,) = (await output_reader.list(task_id)).parties
    assert (party.complete, party.files, party.bytes) == (True, 1, len(LARGE))
    assert party.closed.withheld == "leave.outputs"
    assert [(one.name, one.why) for one in party.closed.skipped] == [
        ("link", "a symbolic link; links are not followed")
    ]
    assert party.closed.skipped_count == 7
    assert not party.coming
    async with OutputPusher(server.agents_address) as late:
        assert await late.hello(party_run_id) is OutputState.STORED


async def test_pieces_that_nobody_waits_for_end_the_stream(server, running_one):
    _, _, party_run_id = running_one
    async with OutputPusher(server.agents_address) as pusher:
        await pusher.hello(party_run_id)
        await pusher.pieces(b"12345")
        assert await pusher.refused() is grpc.StatusCode.INVALID_ARGUMENT
    async with OutputPusher(server.agents_address) as pusher:
        await pusher.hello(party_run_id)
        await pusher.offer(file_of("model", LARGE))
        with pytest.raises(AssertionError, match="not all bytes"):
            await pusher.finish(LARGE)
    async with OutputPusher(server.agents_address) as pusher:
        with pytest.raises(AssertionError, match="hello"):
            await pusher.offer(file_of("model", LARGE))


async def test_another_party_s_run_takes_nothing(server, running_one, connect):
    _, _, party_run_id = running_one
    async with OutputPusher(server.agents_address, "hospital-b") as pusher:
        with pytest.raises(AssertionError, match="another party"):
            await pusher.hello(party_run_id)
    async with OutputPusher(server.agents_address) as pusher:
        assert await pusher.hello("nobody") is OutputState.REFUSED


async def test_outputs_go_with_their_run(running_one, pusher, sdk, keeping, tmp_path):
    task_id, finish, _ = running_one
    await pusher.push("model", LARGE)
    await pusher.pack({"a": b"1"})
    await finish()
    await sdk.task.wait(task_id, timeout_s=30)
    assert (await sdk.task.delete(task_id))["ret_code"] == 0
    with pytest.raises(AssertionError, match="deleted"):
        await pusher.pack({"b": b"2"})
    assert len(blobs_in(tmp_path)) == 4
    await keeping(age=timedelta(days=1)).sweep()
    assert blobs_in(tmp_path) == []


async def test_a_share_that_never_ran_keeps_nobody_waiting(sdk, connect):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ["hospital-a"])
    await sdk.task.start(task_id)
    item = await agent.assigned()
    (party,) = (await sdk.task.outputs(task_id))["data"]["parties"]
    assert not party["complete"]
    await agent.report(item.spec.party_run_id, PartyRunState.REFUSED, reason=Reason.POLICY_DENIED)
    (party,) = (await sdk.task.outputs(task_id))["data"]["parties"]
    assert (party["complete"], party["files"]) == (True, 0)


async def test_a_listing_goes_on_from_page_to_page(running_one, pusher, output_reader):
    task_id, _, _ = running_one
    contents = {f"{number}": b"%d" % number for number in range(25)}
    await pusher.pack(contents)
    found, after = [], ""
    while True:
        page = await output_reader.list(task_id, limit=10, after=after)
        found += [file.name for file in page.files]
        after = page.next
        if not after:
            break
    assert sorted(found) == sorted(contents)
    only = await output_reader.list(task_id, name="7")
    assert [file.name for file in only.files] == ["7"]
    for wrong in ({"after": "x"}, {"limit": 0}, {"limit": 1001}, {"name": "../x"}):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await output_reader.list(task_id, **wrong)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_not_there_is_told_as_such(running_one, pusher, output_reader):
    task_id, _, _ = running_one
    await pusher.pack({"a": b"12"})
    for request, code in (
        ({"name": "b"}, grpc.StatusCode.NOT_FOUND),
        ({"name": "a", "federated_id": "hospital-z"}, grpc.StatusCode.NOT_FOUND),
        ({"name": "a", "run_id": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"name": "a", "offset": 3}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"name": "a", "task_id": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"name": ""}, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await output_reader.download(**{"task_id": task_id, **request})
        assert caught.value.code() is code, request
