"""What a call to the engine may raise besides RuntimeUnavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

from party_agent.runtime.port import RuntimeUnavailable

_HTTP_NOT_FOUND = 404
_HTTP_CONFLICT = 409


class EngineError(Exception):
    """The engine answered a call with an error: its HTTP status and its own text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text

    @property
    def not_there(self) -> bool:
        """Say whether the thing that was asked for does not exist."""
        return self.status == _HTTP_NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Say whether the call does not fit the present state of the engine."""
        return self.status == _HTTP_CONFLICT


@contextmanager
def understood(verb: str) -> Iterator[None]:
    """Make an engine's error that no rule of ours explains one that the port knows."""
    try:
        yield
    except EngineError as error:
        raise RuntimeUnavailable(f"the engine did not {verb}: {error.text}") from error
