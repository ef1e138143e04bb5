"""Pure: W3C Trace Context's `traceparent`: how a trace travels between processes."""

import re

# Version 00 only; two ids that are not all zeros, and flags.
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def is_traceparent(text: str) -> bool:
    """Say whether `text` is a traceparent of version 00: 55 characters of a fixed form."""
    return _FORM.fullmatch(text) is not None
