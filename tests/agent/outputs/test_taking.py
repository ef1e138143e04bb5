"""A workload sends files over its socket: kept whole or not at all, within the site's bounds."""

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime

import pytest

from party_agent.outputs_out.caps import SiteCaps
from party_agent.outputs_out.spools import OutputSpools
from party_agent.outputs_out.taking import OutputTaking
from party_agent.policy.rules import MayLeave
from party_agent.workload_api.host import ApiHost
from tests.agent.workload_api.conftest import Http, Place

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RUN = "run1"
CAPS = {"file_bytes": 10**9, "run_bytes": 10**9, "run_files": 1000, "waiting_bytes": 10**9}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


class Sending(Place):
    """One workload's socket, and what is kept of what it sends."""

    def __init__(self, path, **caps):
        super().__init__(path)
        self.caps = SiteCaps(**CAPS | caps)
        self.rules = MayLeave(outputs=True)

    async def open(self, *known):
        self.spools = OutputSpools(self.path / "uploads", self.caps)
        taking = OutputTaking(self.spools, lambda: self.rules)
        self.host = ApiHost(self.path, lambda: NOW, more=taking.routes)
        await self.host.open(frozenset(known))
        await self.serve(RUN)

    async def put(self, name, content):
        def put():
            connection = Http(self.socket_path(RUN))
            try:
                # It may say why before it stops to listen.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request("PUT", f"/v1/outputs/{name}", content)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            finally:
                connection.close()

        return await asyncio.to_thread(put)

    @property
    def waiting(self):
        return {kept.file.name: kept.path.read_bytes() for kept in self.spools.of(RUN).waiting()}

    def files(self):
        """Return all files of the party run's folder but the ledger."""
        folder = self.path / "uploads" / RUN
        return [path for path in folder.iterdir() if path.name != "ledger"]


@pytest.fixture
async def sending(tmp_path):
    made = []

    async def sending(path=tmp_path, **caps):
        made.append(Sending(path, **caps))
        await made[-1].open()
        return made[-1]

    yield sending
    for one in made:
        await one.host.aclose()
        one.spools.close()


async def test_a_file_that_was_sent_is_kept_also_over_a_restart(sending):
    place = await sending()
    content = os.urandom(3 * 1024**2 + 5)
    status, answer = await place.put("a/b%20c", content)
    assert (status, answer) == (
        200,
        {"name": "a/b c", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    )
    assert place.waiting == {"a/b c": content}
    await place.host.aclose()
    place.spools.close()
    await place.open(RUN)
    assert place.waiting == {"a/b c": content}


async def test_of_one_name_the_newest_waits(sending):
    place = await sending()
    await place.put("model", b"old")
    await place.put("model", b"new")
    await place.put("empty", b"")
    assert place.waiting == {"model": b"new", "empty": b""}
    assert len(place.files()) == 2


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("..%2Fx", "'..'"),
        ("%2Fetc%2Fpasswd", "absolute"),
        ("", "empty"),
        ("a%00b", "control character"),
        ("a%0Ab", "control character"),
        ("a//b", "empty part"),
        ("x" * 256, "255"),
        ("/".join(["y" * 200] * 21), "4096"),
        ("bad%FF", "UTF-8"),
        ("%ED%A0%80", "UTF-8"),
    ],
)
async def test_a_name_that_leads_elsewhere_is_refused_by_name(sending, name, word):
    place = await sending()
    status, answer = await place.put(name, b"1")
    assert status == 400
    assert word in answer["error"]["message"]
    assert answer["error"]["field"] == "name"
    assert not (place.path / "uploads" / RUN).exists()


async def test_what_the_site_s_rules_forbid_is_refused_with_the_rule_s_name(sending):
    place = await sending()
    place.rules = MayLeave(outputs=False)
    status, answer = await place.put("model", b"1")
    assert status == 403
    assert "leave.outputs" in answer["error"]["message"]
    place.rules = MayLeave(outputs=True, outputs_max_bytes=3)
    assert (await place.put("model", b"12"))[0] == 200
    status, answer = await place.put("model", b"34")
    assert status == 403
    assert "leave.outputs_max_bytes" in answer["error"]["message"]
    assert place.waiting == {"model": b"12"}


@pytest.mark.parametrize(
    ("caps", "status", "word"),
    [
        ({"file_bytes": 5}, 413, "5 bytes"),
        ({"run_bytes": 7}, 413, "7 bytes of a run"),
        ({"run_files": 1}, 413, "1 files"),
        ({"waiting_bytes": 7}, 429, "later"),
    ],
)
async def test_what_is_too_much_is_refused_and_not_kept(sending, caps, status, word):
    place = await sending(**caps)
    assert (await place.put("first", b"1234"))[0] == 200
    got, answer = await place.put("second", b"123456")
    assert got == status
    assert word in answer["error"]["message"]
    assert place.waiting == {"first": b"1234"}
    assert len(place.files()) == 1


async def test_a_body_of_no_known_length_is_bounded_as_well(sending):
    place = await sending(file_bytes=100_000)

    def send():
        connection = Http(place.socket_path(RUN))
        try:
            connection.request(
                "PUT", "/v1/outputs/x", iter([b"1" * 70_000] * 2), encode_chunked=True,
                headers={"Transfer-Encoding": "chunked"},
            )  # fmt: skip
            return connection.getresponse().status
        except BrokenPipeError:
            return connection.getresponse().status
        finally:
            connection.close()

    assert await asyncio.to_thread(send) == 413
    assert place.files() == []


async def test_a_sender_that_leaves_in_the_middle_leaves_nothing(sending):
    place = await sending()

    def leave():
        connection = Http(place.socket_path(RUN))
        connection.putrequest("PUT", "/v1/outputs/x")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders(b"1" * 200_000)
        connection.close()

    await asyncio.to_thread(leave)
    assert (await place.put("y", b"1"))[0] == 200
    await place.host.aclose()
    assert set(place.waiting) == {"y"}
    assert len(place.files()) == 1


async def test_a_draft_and_half_a_line_that_a_kill_left_are_forgotten(sending):
    place = await sending()
    await place.put("good", b"1")
    await place.host.aclose()
    place.spools.close()
    folder = place.path / "uploads" / RUN
    (folder / ".draft").write_bytes(b"half")
    (folder / "00000002").write_bytes(b"never noted")
    with (folder / "ledger").open("ab") as ledger:
        ledger.write(b'{"sent":2,"id":"')
    await place.open(RUN)
    assert place.waiting == {"good": b"1"}
    assert len(place.files()) == 1
    await place.put("next", b"2")
    assert place.waiting == {"good": b"1", "next": b"2"}


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@needs_root
async def test_a_full_disk_is_said_and_nothing_half_is_kept(small_disk, sending):
    place = await sending(small_disk)
    assert (await place.put("small", b"1" * 1024**2))[0] == 200
    status, answer = await place.put("large", b"1" * 8 * 1024**2)
    assert status == 507
    assert "No space left" in answer["error"]["message"]
    assert set(place.waiting) == {"small"}
    assert len(place.files()) == 1
    assert (await place.put("another", b"1" * 1024**2))[0] == 200


async def test_other_methods_are_no_request(sending):
    place = await sending()
    assert (await place.ask("GET", "/v1/outputs/x"))[0] == 404
