"""The engine's events as a blocking iterator that another thread can end."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import requests
import urllib3


class Stream(Protocol):
    """What docker-py returns for a call that goes on for ever."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the engine's messages."""

    def close(self) -> None:
        """Shut the connection down."""


class EventFeed:
    """Blocking iterator over the engine's events; ends when the engine goes or on `close`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # Whatever ends the stream, its reader has to reconnect and list: the cause is no news.
        with suppress(requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            yield from self._stream

    def close(self) -> None:
        """End the iteration, in whichever thread it runs. May be called twice."""
        if not self._closed:
            self._closed = True
            # A stream whose engine went away has no socket left to shut down.
            with suppress(OSError, AttributeError):
                self._stream.close()
