"""How `fedflow dev` starts and ends its children, shown with stand-ins for server and agents."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from flow_server_sdk.cli.federation.lines import Console
from flow_server_sdk.cli.federation.plan import Plan
from flow_server_sdk.cli.federation.run import Broken, Federation

STAND_IN = Path(__file__).with_name("stand_in.py")


class StandIns(Plan):
    """A plan whose commands are stand-ins; `manners` says who misbehaves, and how."""

    manners: dict[str, str]

    def command(self, name: str) -> list[str]:
        manner = self.manners.get(name, "good")
        ready_file, journal = self.ready_file(name), self.state_dir / "journal"
        return [sys.executable, str(STAND_IN), name, str(ready_file), str(journal), manner]

    def server_command(self) -> list[str]:
        return self.command("server")

    def agent_command(self, party: str, server: str) -> list[str]:
        assert server == "127.0.0.1:5"
        return self.command(party)


class Scene:
    """A federation of stand-ins and what can be seen of it."""

    def __init__(self, folder: Path, **manners: str) -> None:
        plan = StandIns(parties=2, insecure=True, state_dir=folder)
        object.__setattr__(plan, "manners", {k.replace("_", "-"): v for k, v in manners.items()})
        self.printed: list[str] = []
        self._seen = asyncio.Event()
        self.folder = folder
        self.ready_file = folder / "all.json"
        self.write_error: type[Exception] | None = None
        console = Console(["server", *plan.party_ids], write=self._write)
        self.federation = Federation(plan, console, ready_file=self.ready_file)
        self.running = asyncio.create_task(self.federation.run())

    def _write(self, text: str) -> None:
        self.printed.append(text)
        self._seen.set()
        if self.write_error is not None:
            raise self.write_error

    async def shown(self, part: str) -> None:
        while not any(part in line for line in self.printed):
            assert not self.running.done()
            self._seen.clear()
            waiting = asyncio.create_task(self._seen.wait())
            await asyncio.wait({waiting, self.running}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    @property
    def journal(self) -> list[str]:
        return (self.folder / "journal").read_text().splitlines()


async def test_the_server_comes_first_and_goes_last_and_all_say_goodbye(tmp_path):
    scene = Scene(tmp_path)
    await scene.shown("ready: ")
    assert json.loads(scene.ready_file.read_text()) == {
        "grpc": "127.0.0.1:5",
        "http": "127.0.0.1:6",
        "parties": ["party-1", "party-2"],
    }
    scene.federation.stop()
    await scene.running
    assert (scene.journal[0], scene.journal[-1]) == ("server up", "server down")
    assert sorted(scene.journal[1:3]) == ["party-1 up", "party-2 up"]
    assert sorted(scene.journal[3:5]) == ["party-1 down", "party-2 down"]
    assert not scene.ready_file.exists()
    for name in ("server", "party-1", "party-2"):
        assert any(f"{name} says goodbye" in line for line in scene.printed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_in_order(tmp_path, number):
    scene = Scene(tmp_path)
    await scene.shown("ready: ")
    os.kill(os.getpid(), number)
    await scene.running
    assert scene.journal[-1] == "server down"


async def test_an_agent_that_dies_at_its_start_ends_all_with_its_words_and_a_sentence(tmp_path):
    scene = Scene(tmp_path, party_2="dies")
    with pytest.raises(Broken, match="party-2 ended by itself with exit code 1"):
        await scene.running
    assert any("party-2 can't go on" in line for line in scene.printed)
    assert scene.journal[-1] == "server down"
    assert not scene.ready_file.exists()


async def test_a_server_that_dies_at_its_start_leaves_no_agent_started(tmp_path):
    scene = Scene(tmp_path, server="dies")
    with pytest.raises(Broken, match="server ended by itself"):
        await scene.running
    assert scene.journal == ["server up"]


async def test_a_stop_before_all_are_ready_stops_what_there_is(tmp_path):
    scene = Scene(tmp_path, party_1="never ready")
    await scene.shown("party-1 is up")
    await scene.shown("party-2 is up")
    scene.federation.stop()
    await scene.running
    assert scene.journal[-1] == "server down"
    assert "party-1 down" in scene.journal


async def test_a_second_stop_kills_who_does_not_go(tmp_path):
    scene = Scene(tmp_path, party_1="deaf")
    await scene.shown("ready: ")
    scene.federation.stop()
    await scene.shown("stopping")
    scene.federation.stop()
    await scene.running
    assert any("party-1 is killed" in line for line in scene.printed)
    assert "party-1 down" not in scene.journal


async def test_a_terminal_that_is_gone_ends_it(tmp_path):
    scene = Scene(tmp_path)
    scene.write_error = BrokenPipeError
    await scene.running
    assert scene.journal[-1] == "server down"


async def test_ready_files_of_a_killed_predecessor_are_not_believed(tmp_path):
    (tmp_path / "server.ready.json").write_text("{}")
    scene = Scene(tmp_path)
    await scene.shown("ready: ")
    scene.federation.stop()
    await scene.running
