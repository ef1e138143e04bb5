"""`fedflow` in this process, against a server that says what it is told to say."""

import pytest
from click.testing import CliRunner

from flow_server_sdk.cli import main
from tests.sdk.scripted_server import scripted_server


@pytest.fixture
def server():
    with scripted_server() as running:
        yield running


@pytest.fixture
def fedflow(server):
    def run(*arguments, **environment):
        environment.setdefault("FEDFLOW_SERVER", f"127.0.0.1:{server.port}")
        return CliRunner().invoke(main, [str(each) for each in arguments], env=environment)

    return run
