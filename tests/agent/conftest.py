"""What the agent's tests share."""

import pytest

from tests.agent.fake_server import FakeServer
from tests.agent.party import Site
from tests.agent.place import Place


@pytest.fixture
async def place(tmp_path):
    site = await Place(tmp_path / "state").open()
    yield site
    await site.close()


@pytest.fixture
async def server():
    server = await FakeServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def site(tmp_path, server):
    (tmp_path / "scans").mkdir()
    site = Site(tmp_path / "state", server, name="Hospital A", data={"scans": tmp_path / "scans"})
    await site.start()
    yield site
    await site.kill()
