"""What tests of tunnels share: a relay, and two agents' ends."""

import pytest

from tests.agent.identity.made import Ca
from tests.agent.tunnel.both import Both
from tests.agent.tunnel.small_relay import SmallRelay


@pytest.fixture
async def relay():
    relay = await SmallRelay().start()
    yield relay
    await relay.stop()


@pytest.fixture
async def both(tmp_path, relay):
    both = Both(tmp_path, relay, ca=Ca())
    yield both
    await both.aclose()
