"""Where an engine is spoken to."""

import os
import socket
from pathlib import Path

_UNIX = "unix://"
DEFAULT_URL = "unix:///var/run/docker.sock"


def reach(url: str) -> None:
    """Raise OSError if nobody listens at an engine's unix socket; other addresses pass.

    docker-py forgets to close a socket that it could not connect: ask before it does.
    """
    if url.startswith(_UNIX):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(url.removeprefix(_UNIX))


def sockets(url: str) -> tuple[Path, ...]:
    """Return the paths, links followed, of the engine's socket and of where one usually is."""
    paths = {each.removeprefix(_UNIX) for each in (url, DEFAULT_URL) if each.startswith(_UNIX)}
    return tuple(Path(os.path.realpath(path)) for path in sorted(paths))
