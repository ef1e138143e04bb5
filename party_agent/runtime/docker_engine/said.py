"""What the engine kept of a container's words, from the first on, and what it says after that.

docker-py gives this stream away without saying which of its two a piece is of.
"""

import contextlib
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker.types.daemon import CancellableStream

from flow_contract.log_records import us_of
from party_agent.runtime.docker_engine.translate import engine_time

_HEADER = struct.Struct(">BxxxL")
# An engine keeps a longer line as pieces of this size and a last one that is shorter.
_PIECE_BYTES = 16_384
# 2026-11-21T10:20:30.123456789Z
_MOMENT_BYTES = 40
_STDERR = 2

Pair = tuple[bytes | None, bytes | None]


class Said:
    """Yields (stdout, stderr) pieces; `close` from any thread.

    With `follow` until the container has ended: then an engine may leave out the very last words,
    which it has without. `since_us` None means from the first on that it has kept.
    """

    def __init__(
        self, client: Any, container_id: str, *, follow: bool, since_us: int | None = None
    ) -> None:
        since = {} if since_us is None else {"since": _moment(since_us + 1)}
        # With the times even an empty piece is told of, and it ends a line.
        self._response = _asked(client, container_id, follow=int(follow), timestamps=1, **since)

    def __iter__(self) -> Iterator[Any]:
        raw = self._response.raw
        in_long_line = set()
        try:
            while len(header := raw.read(_HEADER.size)) == _HEADER.size:
                stream, length = _HEADER.unpack(header)
                _, _, data = raw.read(length).partition(b" ")
                has_end = data.endswith(b"\n")
                if len(data) == _PIECE_BYTES and not has_end:
                    in_long_line.add(stream)
                elif stream in in_long_line:
                    in_long_line.discard(stream)
                    # Its last piece, which engines of 20.10 hand over without its newline.
                    data = data if has_end else data + b"\n"
                yield (None, data) if stream == _STDERR else (data, None)
        finally:
            # Here and not in `close`: under a reader that waits it would break the reading.
            self._response.close()

    def close(self) -> None:
        """End the stream, also under a reader that waits."""
        with suppress(OSError, AttributeError):
            CancellableStream(iter(()), self._response).close()


def first_kept_us(client: Any, container_id: str) -> int | None:
    """Return when the container wrote what the engine has kept first, in us since 1970.

    None if it has kept nothing.
    """
    with contextlib.closing(_asked(client, container_id, timestamps=1)) as response:
        raw = response.raw
        if len(raw.read(_HEADER.size)) < _HEADER.size:
            return None
        text = raw.read(_MOMENT_BYTES).split(b" ")[0].decode("ascii", "replace")
        at = engine_time(text)
        return None if at is None else us_of(at)


def _asked(client: Any, container_id: str, **params: Any) -> Any:
    response = client._get(  # noqa: SLF001  see above
        client._url("/containers/{0}/logs", container_id),  # noqa: SLF001  the same
        params={"stdout": 1, "stderr": 1, "tail": "all", **params},
        stream=True,
    )
    client._raise_for_status(response)  # noqa: SLF001  the same
    return response


def _moment(at_us: int) -> str:
    return f"{at_us // 1_000_000}.{at_us % 1_000_000 * 1000:09d}"


class Heard:
    """The same of a container that has not been started, from its first word on."""

    def __init__(self, client: Any, container_id: str) -> None:
        self._stream = client.attach(container_id, stream=True, demux=True)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._stream
        finally:
            self._stream._response.close()  # noqa: SLF001  what it shut down it leaves open

    def close(self) -> None:
        """End the stream, also under a reader that waits."""
        with suppress(OSError, AttributeError):
            self._stream.close()
