"""What a task says of a run that was stopped on request. Pure."""

from collections.abc import Sequence

_NAMED = 5


def stop_message(given_up: Sequence[str]) -> str:
    """Return the sentence; `given_up` are the parties whose answer was not waited for."""
    if not given_up:
        return "Stopped on request."
    shown = ", ".join(given_up[:_NAMED]) + (" and others" if len(given_up) > _NAMED else "")
    return f"Stopped on request; given up without an answer: {shown}."
