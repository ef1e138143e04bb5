"""The sites of these tests share no network: what the others prove rests on it."""

import socket
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.postgres]

_DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
except OSError as error:
    print(error)
else:
    print("reached")
"""
_LISTEN = """
import socket, sys
listener = socket.create_server(("", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def dialled(flow, namespace, host, port):
    done = flow.network.run(namespace, sys.executable, "-c", _DIAL, host, str(port))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def listening(flow):
    """Listen everywhere in a namespace: listening(namespace) -> port."""
    processes = []

    def listen(namespace):
        process = subprocess.Popen(
            [*flow.network.within(namespace), sys.executable, "-c", _LISTEN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return int(process.stdout.readline())

    yield listen
    for process in processes:
        process.communicate()


def test_each_site_reaches_the_server(flow):
    host, port = flow.server.address.rsplit(":", 1)
    for site in flow.sites:
        assert dialled(flow, site.namespace, host, port) == "reached"


def test_no_site_reaches_another_nor_does_the_server_s_machine(flow, listening):
    there = flow.sites[1]
    port = listening(there.namespace)
    address = flow.network.address(there.namespace)
    assert dialled(flow, there.namespace, address, port) == "reached"
    for site in (flow.sites[0], flow.sites[2]):
        assert dialled(flow, site.namespace, address, port) != "reached"
    with pytest.raises(OSError):  # noqa: PT011  no way there, or no answer
        socket.create_connection((address, port), timeout=2)


def test_no_site_reaches_what_listens_on_this_machine(flow):
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        for site in flow.sites:
            assert (
                dialled(flow, site.namespace, flow.server.address.split(":")[0], port) != "reached"
            )
