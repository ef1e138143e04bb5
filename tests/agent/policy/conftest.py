"""A whole agent under a policy file, and a server that plays the flow server."""

import asyncio
import os

import pytest

from party_agent.control_client import SOCKET_NAME, ask
from tests.agent.fakes import until
from tests.agent.party import Site


class Ruled:
    """A party whose policy file a test writes; `wait` and `answer` are what its people do."""

    def __init__(self, path, server):
        self.server = server
        self.data = path / "data"
        (self.data / "scans").mkdir(parents=True)
        self.file = path / "policy.toml"
        self.state_dir = path / "state"
        self._path = path
        self.site = None
        self._age_s = 1_000_000

    def rule(self, text):
        """Put a file in the old one's place, as an operator should."""
        draft = self._path / "draft.toml"
        draft.write_text(text)
        # Older than the agent's patience with half-written files, and never twice the same.
        self._age_s -= 1
        now_s = self._path.stat().st_mtime
        os.utime(draft, (now_s - self._age_s, now_s - self._age_s))
        draft.replace(self.file)

    async def start(self, text=None):
        if text is not None:
            self.rule(text)
        if self.site is None:
            self.site = Site(self.state_dir, self.server, policy=self.file)
        await self.site.start()
        await until((self.state_dir / SOCKET_NAME).exists)
        return self

    @property
    def workloads(self):
        return {key: entry.workload for key, entry in self.site.state.workloads.items()}

    @property
    def starts(self):
        return self.site.state.starts

    async def pending(self):
        return (await self.ask({"do": "pending"}))["pending"]

    async def until_pending(self, count=1):
        # The agent tells nobody: its people look when they like.
        while len(waiting := await self.pending()) != count:  # noqa: ASYNC110  see above
            await asyncio.sleep(0.01)
        return waiting

    async def answer(self, shown, *, granted=True, **changes):
        wanted = {"do": "answer", "granted": granted}
        for key in ("party_run_id", "digest"):
            wanted[key] = shown[key]
        return await self.ask({**wanted, **changes})

    async def ask(self, request):
        return await asyncio.to_thread(ask, self.state_dir, request)


@pytest.fixture
async def ruled(tmp_path, server):
    party = Ruled(tmp_path, server)
    yield party
    if party.site is not None:
        await party.site.kill()
