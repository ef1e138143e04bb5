"""Runs in a container that shares a sandbox's network, and makes the agent's sockets there.

It pumps nothing: over the agent's unix socket it hands the agent the very sockets, as files. So
a connection costs no more than where the agent itself enters the network, and what TCP says
(half-close, reset, back-pressure) stays as it is.

The agent's words: its JSON of what to redirect, then a byte `MAKE` for each socket that it wants.
Ours: a byte, `DONE` with the socket, or `FAILED` and JSON that says why. A connection that ends
ends all that was made for it, and the agent, or its successor, is dialled again.
"""

from __future__ import annotations

import array
import contextlib
import json
import socket
import struct
import sys
import time
from typing import Any

from party_agent.runtime.neighbours import nftables

SOCKET = "/fedflow/agent.sock"

MAKE, DONE, FAILED = b"M", b"D", b"F"
LENGTH = struct.Struct("!I")

_AGAIN_S = 0.1


def main() -> None:
    """Serve one agent after the other, until the container is killed.

    The one argument is what proves to the agent that this is its sidecar.
    """
    secret = sys.argv[1].encode()
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as agent:
            agent.connect(SOCKET)
            agent.sendall(secret)
            serve(agent)
        time.sleep(_AGAIN_S)


def serve(agent: socket.socket) -> None:
    """Do what one agent asks for, until it goes."""
    asked = _json(agent)
    if asked is None:
        return
    redirects = [nftables.Redirect(*each) for each in asked["redirects"]]
    fences = [(first, last) for first, last in asked["fences"]]
    try:
        listener = nftables.listen(asked["address"], asked["ports"])
    except OSError as problem:
        _fail(agent, problem)
        return
    with listener:
        try:
            nftables.install(redirects, fences, listener.getsockname())
        except OSError as problem:
            _fail(agent, problem)
            return
        _hand_over(agent, listener)
    while agent.recv(1) == MAKE:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            _hand_over(agent, made)


def _hand_over(agent: socket.socket, made: socket.socket) -> None:
    rights = array.array("i", [made.fileno()])
    agent.sendmsg([DONE], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def _fail(agent: socket.socket, problem: OSError) -> None:
    missing = isinstance(problem, nftables.Missing)
    why = json.dumps({"error": str(problem), "missing": missing}).encode()
    agent.sendall(FAILED + LENGTH.pack(len(why)) + why)


def _json(agent: socket.socket) -> dict[str, Any] | None:
    size = _exactly(agent, LENGTH.size)
    if size is None:
        return None
    text = _exactly(agent, LENGTH.unpack(size)[0])
    if text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def _exactly(stream: socket.socket, size: int) -> bytes | None:
    found = b""
    while len(found) < size:
        part = stream.recv(size - len(found))
        if not part:
            return None
        found += part
    return found


if __name__ == "__main__":
    main()
