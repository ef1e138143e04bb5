"""Small checks on user input; each failure names the field and what to do."""

import json
from collections.abc import Iterable

from flow_contract.errors import InvalidArgument

MAX_PAGE_LIMIT = 1000


def text(field: str, value: str, *, max_chars: int = 65_536, max_bytes: int = 65_536) -> None:
    """Accept a string that can be stored: no null byte, no lone surrogate, within the limits.

    Raises:
        InvalidArgument: it can't.
    """
    if "\x00" in value:
        raise InvalidArgument(f"{field}: null bytes can't be stored; remove them", field=field)
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"{field}: not valid Unicode text", field=field) from None
    if len(value) > max_chars:
        raise InvalidArgument(
            f"{field}: {len(value)} characters are more than {max_chars}", field=field
        )
    if size_bytes > max_bytes:
        raise InvalidArgument(f"{field}: {size_bytes} bytes are more than {max_bytes}", field=field)


def texts(field: str, values: Iterable[str], *, max_bytes: int) -> None:
    """Accept strings that can be stored and together stay within `max_bytes` as JSON.

    Raises:
        InvalidArgument: they can't.
    """
    items = list(values)
    for position, value in enumerate(items):
        text(f"{field}[{position}]", value, max_bytes=max_bytes)
    size_bytes = len(json.dumps(items).encode())
    if size_bytes > max_bytes:
        raise InvalidArgument(f"{field}: {size_bytes} bytes are more than {max_bytes}", field=field)


def number(field: str, value: float | None, *, least: float, most: float = float("inf")) -> None:
    """Accept None or a number in [least, most].

    Raises:
        InvalidArgument: it lies outside, or is not a number at all (NaN).
    """
    if value is not None and not least <= value <= most:
        wanted = f"between {least} and {most}" if most != float("inf") else f"at least {least}"
        raise InvalidArgument(f"{field}: {value} must be {wanted}", field=field)


def page(page_number: int, limit: int) -> None:
    """Accept page ≥ 1 and limit in [0, MAX_PAGE_LIMIT].

    Raises:
        InvalidArgument: one of them lies outside.
    """
    number("page", page_number, least=1, most=2**31 - 1)
    number("limit", limit, least=0, most=MAX_PAGE_LIMIT)
