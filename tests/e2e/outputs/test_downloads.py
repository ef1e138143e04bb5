"""What users do with outputs by the SDK: list them, bring them down, go on after a cut."""

import asyncio
import os

import pytest

from flow_contract.outputs import PART_BYTES
from flow_server_sdk import FlowServerSdk

LARGE_BYTES = 3 * PART_BYTES + 12_345
MAKE = (
    "cd $FEDFLOW_OUTPUT_DIR; mkdir -p models; "
    f"head -c {LARGE_BYTES} /dev/urandom > models/final; echo 1 > result.json; ln -s / link"
)


@pytest.fixture
async def made(stage):
    """A task whose outputs are complete, and its site."""
    site = stage.site()
    await site.start()
    task_id = await stage.started(MAKE)
    await stage.complete(task_id)
    return task_id, site


async def test_a_listing_names_each_file_and_how_far_each_party_is(stage, made):
    task_id, _ = made
    answer = await stage.sdk.task.outputs(task_id)
    assert answer["ret_code"] == 0
    files = answer["data"]["files"]
    assert [(one["party"], one["name"], one["bytes"]) for one in files] == [
        ("hospital-a", "models/final", LARGE_BYTES),
        ("hospital-a", "result.json", 2),
    ]
    (party,) = answer["data"]["parties"]
    assert (party["complete"], party["files"], party["bytes"]) == (True, 2, LARGE_BYTES + 2)
    assert party["skipped"] == [{"name": "link", "why": "a symbolic link; links are not followed"}]
    assert (party["coming"], party["withheld"]) == ([], "")
    short = await stage.sdk.task.outputs(task_id, parties_only=True)
    assert (short["data"]["files"], short["data"]["parties"]) == ([], [party])


async def test_files_come_down_whole_beside_their_party_s_name(stage, made, tmp_path):
    task_id, site = made
    heard = []
    answer = await stage.sdk.task.download(task_id, tmp_path, on_progress=heard.append)
    assert answer["ret_code"] == 0, answer
    folder = tmp_path / "hospital-a"
    assert (folder / "models" / "final").read_bytes() == site.made("models/final")
    assert (folder / "result.json").read_bytes() == b"1\n"
    assert [one["path"] for one in answer["data"]["files"]] == [
        str(folder / "models" / "final"),
        str(folder / "result.json"),
    ]
    assert heard[-1]["downloaded_bytes"] == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "final",
        "hospital-a",
        "models",
        "result.json",
    ]

    def blocking():
        host, port = stage.address.rsplit(":", 1)
        with FlowServerSdk(host, port) as sdk:
            return sdk.task.download(task_id, tmp_path / "other", name="result.json")

    answer = await asyncio.to_thread(blocking)
    assert [one["name"] for one in answer["data"]["files"]] == ["result.json"]


async def test_another_file_is_left_in_its_place_unless_told_otherwise(stage, made, tmp_path):
    task_id, _ = made
    path = tmp_path / "hospital-a" / "result.json"
    path.parent.mkdir()
    path.write_text("mine")
    answer = await stage.sdk.task.download(task_id, tmp_path, name="result.json")
    assert answer["ret_code"] == 10000
    assert "overwrite=True" in answer["ret_msg"]
    assert path.read_text() == "mine"
    answer = await stage.sdk.task.download(task_id, tmp_path, name="result.json", overwrite=True)
    assert answer["ret_code"] == 0
    assert path.read_text() == "1\n"
    # The same file is no other.
    answer = await stage.sdk.task.download(task_id, tmp_path, name="result.json")
    assert answer["ret_code"] == 0


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(stage, made, tmp_path):
    task_id, _ = made
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to" / "hospital-a").mkdir(parents=True)
    (tmp_path / "to" / "hospital-a" / "models").symlink_to(tmp_path / "elsewhere")
    answer = await stage.sdk.task.download(task_id, tmp_path / "to", name="models/final")
    assert answer["ret_code"] == 10000
    assert "leads out" in answer["ret_msg"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_download_goes_on_where_the_last_one_was_cut(stage, made, tmp_path):
    task_id, site = made

    class Enough(Exception):
        pass

    def stop(told):
        if told["downloaded_bytes"] > PART_BYTES:
            raise Enough

    with pytest.raises(Enough):
        await stage.sdk.task.download(task_id, tmp_path, on_progress=stop)
    (part,) = tmp_path.rglob("*.part")
    assert PART_BYTES < part.stat().st_size < LARGE_BYTES
    heard = []
    answer = await stage.sdk.task.download(
        task_id, tmp_path, on_progress=heard.append, name="models/final"
    )
    assert answer["ret_code"] == 0
    assert heard[0]["downloaded_bytes"] > PART_BYTES
    path = tmp_path / "hospital-a" / "models" / "final"
    assert path.read_bytes() == site.made("models/final")
    assert not list(tmp_path.rglob("*.part"))


async def test_a_part_that_was_damaged_meanwhile_is_found_out_and_fetched_anew(
    stage, made, tmp_path
):
    task_id, site = made
    (file,) = [
        one
        for one in (await stage.sdk.task.outputs(task_id))["data"]["files"]
        if one["name"] == "models/final"
    ]
    folder = tmp_path / "hospital-a" / "models"
    folder.mkdir(parents=True)
    (folder / f".{file['sha256']}.part").write_bytes(os.urandom(PART_BYTES))
    answer = await stage.sdk.task.download(task_id, tmp_path, name="models/final")
    assert answer["ret_code"] == 0
    assert (folder / "final").read_bytes() == site.made("models/final")


async def test_a_server_that_restarts_in_the_middle_is_waited_for(stage, made, tmp_path):
    task_id, site = made
    restarted = []

    async def restart(told):
        if not restarted:
            restarted.append(told)
            await stage.restart_server()

    answer = await stage.sdk.task.download(
        task_id, tmp_path, on_progress=restart, name="models/final"
    )
    assert answer["ret_code"] == 0, answer
    path = tmp_path / "hospital-a" / "models" / "final"
    assert path.read_bytes() == site.made("models/final")


async def test_what_can_t_be_had_is_said(stage, made, tmp_path):
    task_id, _ = made
    for wrong, word in (
        ({"name": "nothing"}, "nothing"),
        ({"name": "../x"}, "'..'"),
        ({"party": "hospital-z"}, "hospital-z"),
        ({"party": ["hospital-a", "hospital-z"]}, "hospital-z"),
    ):
        answer = await stage.sdk.task.download(task_id, tmp_path, **wrong)
        assert answer["ret_code"] != 0, wrong
        assert word in answer["ret_msg"]
    assert (await stage.sdk.task.outputs("nobody"))["ret_code"] == 10300
    assert (await stage.sdk.task.outputs(task_id, run_id="nobody"))["ret_code"] == 10400
    assert list(tmp_path.iterdir()) == []
