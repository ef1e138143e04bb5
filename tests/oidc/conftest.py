"""A port that takes connections and never answers."""

import socket

import pytest


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
