"""One HTTP connection to the agent over its unix socket, opened when it is needed."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any

_ANSWER_TIMEOUT_S = 30.0
# What an address of a unix socket may hold, its end included.
_MAX_ADDRESS_BYTES = 107
_FIRST_SERVER_ERROR = 500
_FIRST_ERROR = 400
_TOO_MANY = 429


class Away(Exception):
    """The agent does not answer, or not now: the same request may work later."""


class Refused(Exception):
    """The agent will never take this request; the text is its own."""


class Connection:
    """Sends JSON to the agent. Not for several threads at once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._http: http.client.HTTPConnection | None = None

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Send one request and wait for its answer, the connection opened anew where it broke.

        Raises:
            Away: it may not have arrived; try again later.
            Refused: it arrived, and won't be taken.
        """
        try:
            status, answer = self._exchange(path, json.dumps(body).encode())
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise Away(str(problem)) from problem
        if status >= _FIRST_SERVER_ERROR or status == _TOO_MANY:
            raise Away(sentence(answer))
        if status >= _FIRST_ERROR:
            raise Refused(sentence(answer))

    def close(self) -> None:
        """Let the connection go; the next request opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._http is None:
            self._http = UnixConnection(self._path)
        self._http.request("POST", path, body, {"Content-Type": "application/json"})
        response = self._http.getresponse()
        return response.status, response.read()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; an answer is waited for `timeout_s` at most."""

    def __init__(self, path: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> None:
        super().__init__("fedflow", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Connect to the socket, however long its path is."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(self._timeout_s)
        try:
            _connect(found, self._path)
        except OSError:
            found.close()
            raise
        self.sock = found


def _connect(found: socket.socket, path: str) -> None:
    if len(os.fsencode(path)) <= _MAX_ADDRESS_BYTES:
        found.connect(path)
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)  # noqa: PTH120  in step with the next
    try:
        found.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119  the same
    finally:
        os.close(folder)


def sentence(answer: bytes) -> str:
    """Return why the agent refuses."""
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the agent gave no reason"
