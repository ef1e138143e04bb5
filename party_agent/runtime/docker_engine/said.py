"""What the engine kept of a container's words, from the first on, and what it says after that.

docker-py gives this stream away without saying which of its two a piece is of.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker.types.daemon import CancellableStream

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2

Pair = tuple[bytes | None, bytes | None]


class Said:
    """Yields (stdout, stderr) pieces until the container has ended; `close` from any thread."""

    def __init__(self, client: Any, container_id: str) -> None:
        self._response = client._get(  # noqa: SLF001  see above
            client._url("/containers/{0}/logs", container_id),  # noqa: SLF001  the same
            params={"stdout": 1, "stderr": 1, "follow": 1, "tail": "all"},
            stream=True,
        )
        client._raise_for_status(self._response)  # noqa: SLF001  the same

    def __iter__(self) -> Iterator[Any]:
        raw = self._response.raw
        try:
            while len(header := raw.read(_HEADER.size)) == _HEADER.size:
                stream, length = _HEADER.unpack(header)
                data = raw.read(length)
                yield (None, data) if stream == _STDERR else (data, None)
        finally:
            # Here and not in `close`: under a reader that waits it would break the reading.
            self._response.close()

    def close(self) -> None:
        """End the stream, also under a reader that waits."""
        with suppress(OSError, AttributeError):
            CancellableStream(iter(()), self._response).close()


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
