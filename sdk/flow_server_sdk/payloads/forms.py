"""Checks of form, one per kind of value; each failure says the field and what to give instead.

All raise InvalidArgument and nothing else, whatever they are given.
"""

import numbers
import sys
from collections.abc import Collection, Mapping

from flow_contract import checks
from flow_contract.errors import InvalidArgument

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1


def refusal(field: str, value: object, wanted: str) -> InvalidArgument:
    """Return the error for a value of the wrong kind."""
    given = "None" if value is None else f"a value of type {type(value).__name__}"
    return InvalidArgument(f"{field}: give {wanted}, not {given}", field=field)


def text(field: str, value: object) -> str:
    """Return a string that protobuf can carry and Postgres can store."""
    if not isinstance(value, str):
        raise refusal(field, value, "a string")
    # How long it may be is the server's to say; whether it is text at all shows here.
    checks.text(field, value, max_chars=sys.maxsize, max_bytes=sys.maxsize)
    return str(value)


def texts(field: str, value: object) -> tuple[str, ...]:
    """Return the strings of a list or tuple."""
    if not isinstance(value, list | tuple):
        raise refusal(field, value, "a list of strings such as ['python', 'run.py']")
    return tuple(text(f"{field}[{position}]", item) for position, item in enumerate(value))


def texts_or_none(field: str, value: object) -> tuple[str, ...] | None:
    """Return the same, or None for None."""
    return None if value is None else texts(field, value)


def integer(field: str, value: object, *, most: int = INT32_MAX) -> int:
    """Return an int in [-most - 1, most], the range that travels; True is not an int here."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise refusal(field, value, "a whole number")
    number = int(value)
    if not -most - 1 <= number <= most:
        raise InvalidArgument(f"{field}: give a number between {-most - 1} and {most}", field=field)
    return number


def real(field: str, value: object) -> float:
    """Return a float; True is not a number here."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise refusal(field, value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgument(f"{field}: the number is too large", field=field) from None


def boolean(field: str, value: object) -> bool:
    """Return True or False; 0 and 1 are neither."""
    if not isinstance(value, bool):
        raise refusal(field, value, "True or False")
    return value


def record(field: str, value: object, keys: Collection[str]) -> Mapping[str, object]:
    """Return a dict that has no other keys than `keys`."""
    if not isinstance(value, Mapping):
        raise refusal(field, value, f"a dict with the keys {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise InvalidArgument(
                f"{field}: {key!r:.80} is not known; the keys are {', '.join(keys)}", field=field
            )
    return value


def records(
    field: str, value: object, keys: Collection[str]
) -> list[tuple[str, Mapping[str, object]]]:
    """Return the dicts of a list or tuple, each with the name of its place."""
    if not isinstance(value, list | tuple):
        raise refusal(field, value, f"a list of dicts with the keys {', '.join(keys)}")
    places = [f"{field}[{position}]" for position in range(len(value))]
    return [(place, record(place, item, keys)) for place, item in zip(places, value, strict=True)]


def needed(field: str, value: Mapping[str, object], key: str) -> str:
    """Return the string under `key`, which must be there."""
    if key not in value:
        raise InvalidArgument(f"{field}.{key}: is missing; add it", field=f"{field}.{key}")
    return text(f"{field}.{key}", value[key])
