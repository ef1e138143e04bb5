"""The tests' own balancer holds nothing once it is closed, however soon that comes."""

import asyncio
import contextlib
import socket

import pytest

from tests.tcp import TcpProxy


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_just_being_accepted_is_closed_with_the_balancer(turns):
    async with TcpProxy("127.0.0.1:9") as balancer:
        host, port = balancer.address.split(":")
        dialled = socket.create_connection((host, int(port)))
        for _ in range(turns):
            await asyncio.sleep(0)
    with dialled:
        dialled.settimeout(60)
        # The end, or a reset: never silence.
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.to_thread(dialled.recv, 1) == b""
