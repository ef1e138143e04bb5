"""Dates as FlowServerSdk users know them: `Sat, 21 Nov 2026 06:47:51 -0000`."""

from datetime import UTC, datetime
from email.utils import format_datetime


def rfc822(moment: datetime) -> str:
    """Return an aware time as UTC in whole seconds, in English whatever the locale."""
    # A naive time is what makes the standard library write "-0000", the original's zone.
    return format_datetime(moment.astimezone(UTC).replace(tzinfo=None))


def rfc822_or_none(moment: datetime | None) -> str | None:
    """Return the same, None for what has not happened."""
    return None if moment is None else rfc822(moment)
