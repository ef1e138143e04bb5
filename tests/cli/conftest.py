"""`fedflow` in this process, against a server that says what it is told to say."""

import textwrap

import pytest
from click.testing import CliRunner

from flow_server_sdk.cli import main
from flow_server_sdk.cli.exits import Ended, Exit
from flow_server_sdk.cli.flowfile.reading import read_flow_file
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


@pytest.fixture
def read(tmp_path):
    def read(content, *, needs=("task",)):
        path = tmp_path / "flow.yaml"
        path.write_bytes(
            content if isinstance(content, bytes) else textwrap.dedent(content).encode()
        )
        return read_flow_file(path, needs=needs)

    return read


@pytest.fixture
def mistakes(read):
    """Return the mistakes of a file, without the file's name."""

    def mistakes(content, **given):
        with pytest.raises(Ended) as refused:
            read(content, **given)
        assert refused.value.exit_code == Exit.USAGE
        lines = refused.value.message.splitlines()
        assert all("flow.yaml:" in line for line in lines)
        return [line.partition("flow.yaml:")[2] for line in lines]

    return mistakes
