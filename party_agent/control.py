"""The agent's local socket: what its site's own people ask and answer, without the server.

It lies in the state directory and serves the agent's user and root, by what the kernel says of
the caller. One request and one answer, each a line of JSON, per connection.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import sqlite3
import struct
from pathlib import Path
from typing import Any, NoReturn

import structlog

from party_agent.approvals import NotAsked
from party_agent.control_client import SOCKET_NAME
from party_agent.tasks import for_ever
from party_agent.units import Units

_MAX_LINE_BYTES = 64 * 1024
_REQUEST_DEADLINE_S = 10.0

log = structlog.get_logger()


class Control:
    """Serves the local socket of one agent; `state_dir` None means that there is none."""

    def __init__(self, *, units: Units, state_dir: Path | None) -> None:
        self._units = units
        self._state_dir = state_dir

    async def run(self) -> NoReturn:
        """Serve until cancelled. Without a socket the agent does its work all the same."""
        if self._state_dir is None:
            await for_ever()
        try:
            listener = _listen(self._state_dir)
        except OSError as error:
            log.error("control_socket_failed", error=str(error))  # noqa: TRY400  no defect of ours
            await for_ever()
        server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_MAX_LINE_BYTES)
        try:
            await for_ever()
        finally:
            server.close()
            with contextlib.suppress(OSError):
                (self._state_dir / SOCKET_NAME).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _caller(writer) not in {0, os.geteuid()}:
                return
            async with asyncio.timeout(_REQUEST_DEADLINE_S):
                line = await reader.readline()
            answer = await self._answer(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, OSError, ValueError):
            log.debug("control_request_dropped")
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            match asked["do"]:
                case "pending":
                    return {"pending": self._pending()}
                case "answer":
                    return await self._take(asked)
        except (ValueError, TypeError, KeyError):
            pass
        return {"error": "the agent does not understand the request; use its own version's command"}

    def _pending(self) -> list[dict[str, Any]]:
        return [
            {
                "run_id": unit.spec.run_id,
                "party_run_id": unit.party_run_id,
                "digest": approval.digest,
                "asked_at": approval.asked_at.isoformat(),
                "image_digest": unit.status.image_digest,
                "spec": dataclasses.asdict(unit.spec),
            }
            for unit in self._units.held
            if (approval := self._units.approvals.awaited(unit)) is not None
        ]

    async def _take(self, asked: dict[str, Any]) -> dict[str, Any]:
        party_run_id, is_granted = str(asked["party_run_id"]), asked["granted"] is True
        try:
            await self._units.approvals.answer(
                party_run_id, str(asked["digest"]), is_granted=is_granted
            )
        except NotAsked as error:
            return {"error": str(error)}
        except sqlite3.Error as error:
            return {"error": f"the answer could not be written down: {error}"}
        log.info("run_approved" if is_granted else "run_denied", party_run_id=party_run_id)
        return {"done": True}


def _listen(state_dir: Path) -> socket.socket:
    # By way of a descriptor: an address may have 107 bytes, and a directory's path has more.
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # Whoever left it is gone: the journal lets one agent in at a time.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET_NAME, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
        os.chmod(SOCKET_NAME, 0o600, dir_fd=folder)
        listener.listen()
        listener.setblocking(False)  # noqa: FBT003  the socket's own signature
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def _caller(writer: asyncio.StreamWriter) -> int:
    found: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    credentials = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])
