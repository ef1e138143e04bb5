"""A scripted server, and the two clients behind one face: the same tests hold for both."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk
from tests.sdk.scripted_server import ScriptedServer, scripted_server


class Awaited:
    """An AsyncFlowServerSdk whose calls are awaited on a loop of their own."""

    def __init__(self, host: str, port: str | int, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self._sdk = AsyncFlowServerSdk(host, port, **settings)

    def __getattr__(self, room: str) -> "AwaitedRoom":
        return AwaitedRoom(getattr(self._sdk, room), self._runner)

    def close(self) -> None:
        self._runner.run(self._sdk.close())
        self._runner.close()


class AwaitedRoom:
    def __init__(self, room: Any, runner: asyncio.Runner) -> None:
        self._room = room
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._room, name)
        return lambda *args, **kwargs: self._runner.run(call(*args, **kwargs))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture(params=[FlowServerSdk, Awaited], ids=["blocking", "async"])
def connect(request) -> Iterator[Any]:
    """Return a function that makes a client, closed after the test."""
    made = []

    def make(port: int, **settings: Any) -> Any:
        made.append(request.param("127.0.0.1", port, **settings))
        return made[-1]

    yield make
    for sdk in made:
        sdk.close()


@pytest.fixture
def sdk(server, connect) -> Any:
    return connect(server.port)
