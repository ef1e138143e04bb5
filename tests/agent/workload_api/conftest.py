"""An agent's end of the socket on disk, and a client that speaks HTTP to it."""

import asyncio
import http.client
import json
import os
import socket
from datetime import UTC, datetime

import pytest

from party_agent.unit import SelfReport
from party_agent.workload_api.host import ApiHost
from tests.agent.fakes import EVERYTHING, make_spec

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def connected(path):
    """Return a socket connected to this path, however long that is."""
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(60)
    place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        found.connect(f"/proc/self/fd/{place}/{path.name}")
    finally:
        os.close(place)
    return found


class Http(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("fedflow", timeout=60)
        self._path = path

    def connect(self):
        self.sock = connected(self._path)


class Place:
    """One agent's workload APIs; `restart` is a kill of the agent."""

    def __init__(self, path):
        self.path = path
        self.words = []
        self.may_leave = EVERYTHING
        self.host = None

    async def open(self, *known):
        self.host = ApiHost(self.path, lambda: NOW)
        await self.host.open(frozenset(known))

    async def serve(self, party_run_id="run1", **spec):
        await self.host.serve(make_spec(party_run_id, **spec), self.words.append, self.may_leave)

    async def restart(self, *known):
        await self.host.aclose()
        await self.open(*known)

    def socket_path(self, party_run_id="run1"):
        return self.path / "api" / party_run_id / "api.sock"

    async def ask(self, method, path, body=None, *, party_run_id="run1"):
        """Send one request on a connection of its own; return (status, document)."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()

        def ask():
            connection = Http(self.socket_path(party_run_id))
            try:
                connection.request(method, path, content)
                answer = connection.getresponse()
                text = answer.read()
            finally:
                connection.close()
            return answer.status, json.loads(text) if text else None

        return await asyncio.to_thread(ask)

    async def post(self, path, body):
        return await self.ask("POST", path, body)

    @property
    def says(self):
        return self.words[-1] if self.words else SelfReport()


@pytest.fixture
async def place(tmp_path):
    place = Place(tmp_path)
    await place.open()
    yield place
    await place.host.aclose()
