"""Sends a file to the agent: read and sent in pieces, so that its size does not matter."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import quote

from flow_worker import environment
from flow_worker.connection import UnixConnection, sentence

# The agent may be restarting, or its disk full for a moment.
_PATIENCE_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
# For the agent's disk to have all of a large file.
_ANSWER_TIMEOUT_S = 600.0
_BLOCK_BYTES = 1024 * 1024
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_TOO_MANY = 429


class _Unreadable(Exception):
    """The file can't be sent as it was when it was opened."""


def send(path: Any, name: str | None) -> bool:
    """Send a file under `name`; return whether the agent has it. Raises nothing."""
    socket_path = environment.socket_path()
    if not socket_path:
        return _failed("not inside Fedflow (no FEDFLOW_API): no output is sent")
    try:
        text = os.fsdecode(path)
        shown = name if name is not None else _name_of(text)
        target = "/v1/outputs/" + quote(shown, safe="/")
    except (TypeError, ValueError) as problem:
        return _failed(f"an output needs a path and a name: {problem}")
    pause_s, until_s = _FIRST_PAUSE_S, time.monotonic() + _PATIENCE_S
    while True:
        why, is_final = _attempt(socket_path, text, target)
        if not why:
            return True
        if is_final or time.monotonic() + pause_s > until_s:
            return _failed(f"output {shown!r} is not sent: {why}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _attempt(socket_path: str, path: str, target: str) -> tuple[str, bool]:
    """Return what went wrong, "" for nothing, and whether that stays so."""
    connection = UnixConnection(socket_path, _ANSWER_TIMEOUT_S)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  as the path was given
            return _exchange(connection, file, target)
    except (_Unreadable, OSError, ValueError) as problem:
        return str(problem), True
    finally:
        connection.close()


def _exchange(connection: UnixConnection, file: BinaryIO, target: str) -> tuple[str, bool]:
    size_bytes = os.fstat(file.fileno()).st_size
    headers = {"Content-Length": str(size_bytes), "Content-Type": "application/octet-stream"}
    try:
        # It may have said why before it stopped to listen.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", target, _blocks(file, size_bytes), headers)
        response = connection.getresponse()
        status, answer = response.status, response.read()
    except (OSError, http.client.HTTPException) as problem:
        return str(problem) or type(problem).__name__, False
    if status < _FIRST_ERROR:
        return "", True
    return sentence(answer), status < _FIRST_SERVER_ERROR and status != _TOO_MANY


def _blocks(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Yield what the file held when it was opened, should it grow."""
    while size_bytes:
        block = file.read(min(_BLOCK_BYTES, size_bytes))
        if not block:
            raise _Unreadable("the file became shorter while it was sent")
        size_bytes -= len(block)
        yield block


def _name_of(path: str) -> str:
    """Return the path within the output directory, or the file's own name."""
    folder = environment.party().output_dir
    if folder:
        within = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))  # noqa: PTH100
        if within != os.pardir and not within.startswith(os.pardir + os.sep):
            return within.replace(os.sep, "/")
    return os.path.basename(path)  # noqa: PTH119


def _failed(text: str) -> bool:
    try:
        sys.stderr.write("flow_worker: " + text + "\n")
    except (OSError, ValueError, AttributeError):
        # A closed stderr is the workload's own business.
        return False
    return False
