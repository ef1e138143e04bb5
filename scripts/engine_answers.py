"""Exit 0 if a Docker Engine answers this user at $DOCKER_HOST, 1 otherwise.

Standard library only: it is asked before anything is installed, the docker command included.
"""

import http.client
import os
import socket
import subprocess
import sys

TIMEOUT_S = 10


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self.path)


def answers(address: str) -> bool:
    """Tell whether the engine at `address` answers a ping."""
    if not address.startswith("unix://"):
        command = ["docker", "--host", address, "version"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0
    connection = UnixConnection(address.removeprefix("unix://"))
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not answers(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"))
