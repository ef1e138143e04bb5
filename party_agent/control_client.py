"""Asks a running agent of this machine over its local socket."""

import json
import os
import socket
from pathlib import Path
from typing import Any

SOCKET_NAME = "control.sock"

_DEADLINE_S = 30.0


class AgentSilent(Exception):
    """No agent answers there; the message says what to do."""


def ask(state_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the agent that uses `state_dir`.

    Raises:
        AgentSilent: none is running there, or it is not for this user to ask.
    """
    try:
        folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            answer = _exchange(f"/proc/self/fd/{folder}/{SOCKET_NAME}", request)
        finally:
            os.close(folder)
    except PermissionError:
        raise AgentSilent(
            f"the agent in {state_dir} answers its own user and root only; use sudo -u"
        ) from None
    except OSError:
        raise AgentSilent(
            f"no agent answers in {state_dir}; start it, or name its --state-dir"
        ) from None
    if not answer:
        raise AgentSilent(f"the agent in {state_dir} closed the connection; see its log")
    found: dict[str, Any] = json.loads(answer)
    return found


def _exchange(address: str, request: dict[str, Any]) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_DEADLINE_S)
        connection.connect(address)
        connection.sendall(json.dumps(request).encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return stream.read()
