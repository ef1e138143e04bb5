"""The server over its embedded PostgreSQL: made at the first start, kept, revived."""

import os
import signal

import pytest

from flow_contract.errors import Unavailable
from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from tests.server.flows import make_template

pytestmark = pytest.mark.postgres


@pytest.fixture
def settings(tmp_path_factory):
    state_dir = tmp_path_factory.mktemp("server")
    for directory in [state_dir, *state_dir.parents][:-1]:
        if directory.owner() == "root" and directory.name.startswith("pytest"):
            directory.chmod(0o755)
    state_dir.chmod(0o755)
    return ServerSettings(
        port=0, http_port=0, insecure=True, state_dir=state_dir, shutdown_grace_s=0
    )


async def count_of(server):
    host, port = server.grpc_address.rsplit(":", 1)
    async with AsyncFlowServerSdk(host, port) as sdk:
        return (await sdk.template.list())["data"]["template_count"]


async def test_what_was_stored_is_there_after_a_restart(settings):
    server = FlowServer(settings)
    await server.start()
    host, port = server.grpc_address.rsplit(":", 1)
    async with AsyncFlowServerSdk(host, port) as sdk:
        await make_template(sdk)
    await server.aclose()

    again = FlowServer(settings)
    await again.start()
    assert await count_of(again) == 1
    await again.aclose()


async def test_a_database_that_is_killed_comes_back_and_has_lost_nothing(settings):
    server = FlowServer(settings)
    await server.start()
    host, port = server.grpc_address.rsplit(":", 1)
    async with AsyncFlowServerSdk(host, port, timeout_s=60) as sdk:
        await make_template(sdk)
        pid = int((settings.state_dir / "postgres/cluster/postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

        # What is asked meanwhile is answered "unavailable"; the SDK asks again.
        while True:
            try:
                answer = await sdk.template.list()
                break
            except Unavailable:
                continue
        assert answer["data"]["template_count"] == 1
    await server.aclose()
