"""A unix socket in a directory of the agent's own, for whoever a container runs as."""

import os
import socket
from contextlib import suppress
from pathlib import Path

# The directory says who gets this far; as whom the engine runs them, nobody knows beforehand.
_ANYBODY = 0o666


def listen_in(folder: Path, name: str) -> socket.socket:
    """Return a socket that listens at `folder/name`, in the place of one that was left there.

    Raises:
        OSError: it can't be made.
    """
    # By way of a descriptor: an address may have 107 bytes, and a directory's path has more.
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=place)
        listener.bind(f"/proc/self/fd/{place}/{name}")
        os.chmod(name, _ANYBODY, dir_fd=place)
        listener.listen()
        listener.setblocking(False)  # noqa: FBT003  the socket's own signature
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(place)
    return listener
