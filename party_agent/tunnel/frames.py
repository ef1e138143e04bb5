"""Pure: what two agents say to each other inside a tunnel.

A frame is a length (4 bytes, big-endian) and that many bytes. Length 0 means that this direction
ends and the other may go on, which TLS itself can't say. The first frame of the answering side is
one byte: what came of its dial to the workload.
"""

from collections.abc import Iterator
from enum import IntEnum

HEADER_BYTES = 4
# Whoever announces more speaks another protocol.
MAX_PAYLOAD_BYTES = 1024 * 1024

END = bytes(HEADER_BYTES)


class Outcome(IntEnum):
    """What came of the answering side's dial."""

    CONNECTED = 0
    # Nobody listens at that port.
    REFUSED = 1
    # The workload's network is not there, or its agent has no room for one more.
    UNAVAILABLE = 2


class FrameBroken(Exception):
    """The other side does not speak in frames."""


def put_header(into: memoryview, payload_bytes: int) -> None:
    """Write the header of a frame of that many bytes into the first HEADER_BYTES."""
    into[:HEADER_BYTES] = payload_bytes.to_bytes(HEADER_BYTES, "big")


def frame(payload: bytes) -> bytes:
    """Return a frame of one payload."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def outcome_of(payload: bytes) -> Outcome:
    """Return what the first frame says. Raises FrameBroken."""
    try:
        (code,) = payload
        return Outcome(code)
    except ValueError:
        raise FrameBroken("the first frame is no outcome") from None


class Unframer:
    """Takes one direction's bytes in any pieces; `has_ended` once its last frame has come."""

    def __init__(self) -> None:
        self.has_ended = False
        self._left_bytes = 0
        self._header = b""

    def feed(self, data: memoryview) -> Iterator[memoryview]:
        """Yield the payload in it, in order, as parts of `data` and never empty.

        Raises:
            FrameBroken: a frame is too long, or something follows the end.
        """
        while len(data):
            if self.has_ended:
                raise FrameBroken("something follows the end")
            if not self._left_bytes:
                data = self._take_header(data)
                continue
            piece, data = data[: self._left_bytes], data[self._left_bytes :]
            self._left_bytes -= len(piece)
            yield piece

    def _take_header(self, data: memoryview) -> memoryview:
        lacking = HEADER_BYTES - len(self._header)
        self._header += bytes(data[:lacking])
        if len(self._header) == HEADER_BYTES:
            self._left_bytes = int.from_bytes(self._header, "big")
            self._header = b""
            self.has_ended = not self._left_bytes
            if self._left_bytes > MAX_PAYLOAD_BYTES:
                raise FrameBroken(f"a frame of {self._left_bytes} bytes")
        return data[lacking:]
