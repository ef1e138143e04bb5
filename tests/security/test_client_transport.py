"""A client and a server that don't fit say what to do, and nothing secret goes over the wire."""

import socket
import threading

import pytest
from grpc import aio, ssl_server_credentials

from flow_contract.errors import Unavailable
from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk
from tests.security.secure_server import write_certificate


@pytest.fixture
async def serve(tmp_path):
    """Start a TLS port with a certificate of this host and age."""
    servers = []

    async def serve(host="127.0.0.1", days=1):
        write_certificate(tmp_path, host, days=days)
        server = aio.server()
        pair = ((tmp_path / "server.key").read_bytes(), (tmp_path / "server.pem").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", ssl_server_credentials([pair]))
        await server.start()
        servers.append(server)
        return port, tmp_path / "server.pem"

    yield serve
    for server in servers:
        await server.stop(0)


async def problem(port, **credentials):
    async with AsyncFlowServerSdk("127.0.0.1", port, timeout_s=3, **credentials) as sdk:
        with pytest.raises(Unavailable) as caught:
            await sdk.user.whoami()
    return caught.value.message


async def test_plain_text_to_a_tls_port_says_to_log_in(serve):
    port, _ = await serve()
    assert "speaks TLS, and neither CA nor token is known" in await problem(port)


async def test_an_unknown_authority_is_named_as_such(serve, tmp_path):
    port, _ = await serve()
    other = tmp_path / "other"
    other.mkdir()
    write_certificate(other, "127.0.0.1")
    assert "not by the CA that was given" in await problem(port, ca=other / "server.pem")
    assert "authority unknown here" in await problem(port, token="hunter2")


async def test_an_expired_certificate_is_named_as_such(serve):
    port, ca = await serve(days=-1)
    assert "expired" in await problem(port, ca=ca)


async def test_a_certificate_for_another_host_is_named_as_such(serve):
    port, ca = await serve(host="elsewhere.example")
    assert "not for 127.0.0.1" in await problem(port, ca=ca)


async def test_a_plain_port_is_told_no_token_and_said_to_speak_no_tls():
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def take():
            # Until the listening socket is shut.
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    heard.extend(connection.recv(65_536))
                    connection.sendall(b"\0\0\0\4\0\0\0\0\0")

        thread = threading.Thread(target=take)
        thread.start()
        said = await problem(port, token="hunter2")
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(20)
    assert "does not speak TLS" in said
    assert "hunter2" not in said
    assert heard
    assert b"hunter2" not in heard


async def test_where_nobody_listens_nothing_is_guessed():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "can't be reached: UNAVAILABLE" in await problem(port)


async def test_the_blocking_client_says_the_same(serve):
    port, _ = await serve()
    with (
        FlowServerSdk("127.0.0.1", port, timeout_s=2) as sdk,
        pytest.raises(Unavailable, match="speaks TLS"),
    ):
        sdk.user.whoami()
