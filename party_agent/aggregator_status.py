"""What iflearner's aggregation server says of its parties on its own status page.

The page belongs to a workload: whatever it answers is bounded, and nothing of it is believed but
numbers and names of the run's own parties.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Framework, PeerProgress, RunRole
from party_agent.runtime.port import RuntimeUnavailable, Sockets

STATUS_PORT = 50002
ANSWER_WITHIN_S = 5.0
MAX_ANSWER_BYTES = 1 << 20
MAX_EPOCH = 2**31 - 1

_REQUEST = b"GET /v1/status HTTP/1.0\r\nHost: coordinator\r\nConnection: close\r\n\r\n"


def has_status(spec: WorkloadSpec) -> bool:
    """Say whether the workload is a server that has such a page."""
    return spec.role is RunRole.COORDINATOR and spec.framework is Framework.IFLEARNER


async def ask(sockets: Sockets, parties: Iterable[str]) -> tuple[PeerProgress, ...] | None:
    """Return what the page says now of these parties, None where it says nothing of use."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            stream = await sockets.dial(STATUS_PORT)
            reader, writer = await asyncio.open_connection(sock=stream)
            try:
                writer.write(_REQUEST)
                answer = await _read(reader)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, RuntimeUnavailable):
        return None
    return parse(answer, parties)


async def _read(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    while len(answer) <= MAX_ANSWER_BYTES and (block := await reader.read(65_536)):
        answer += block
    return answer


def parse(answer: bytes, parties: Iterable[str]) -> tuple[PeerProgress, ...] | None:
    """Return what a whole HTTP answer says, in the parties' order; None for anything else.

    A party that has not registered yet is left out.
    """
    head, found, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if not found or len(answer) > MAX_ANSWER_BYTES or words[1:2] != [b"200"]:
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    return tuple(
        _progress(party, said[party]) for party in parties if isinstance(said.get(party), dict)
    )


def _progress(party: str, said: dict[str, Any]) -> PeerProgress:
    return PeerProgress(
        federated_id=party,
        ready=said.get("ready") is True,
        complete=said.get("complete") is True,
        current_epoch=_epoch(said.get("current_epoch")),
        total_epoch=_epoch(said.get("total_epoch")),
    )


def _epoch(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_EPOCH else None  # type: ignore[operator,return-value]
