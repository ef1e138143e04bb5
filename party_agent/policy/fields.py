"""What the value of each key of a policy file may be, and what is said of any other."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_contract.coordination import MAX_PORT
from party_agent.policy.lines import KeyPath
from party_agent.policy.rules import Globs

_MAX_INT = 2**63 - 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SIZE = re.compile(r"(?P<number>[0-9]+) ?(?P<unit>B|KiB|MiB|GiB|TiB)")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
# Slower than that nothing of use passes.
_LEAST_RATE = 1024
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One value that can't be, by its path; `message` says what may stand there."""

    path: KeyPath
    message: str


Told = list[Wrong]
Check = Callable[[KeyPath, Any, Told], Any]


def boolean(path: KeyPath, value: Any, told: Told) -> bool | None:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    _wrong(path, told, "true or false", value)
    return None


def positive(path: KeyPath, value: Any, told: Told) -> float | None:
    """Return a number above 0, such as cores."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and 0 < value < math.inf:
        return float(value)
    _wrong(path, told, "a number above 0", value)
    return None


def count(path: KeyPath, value: Any, told: Told) -> int | None:
    """Return a whole number from 0 on."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INT:
        return value
    _wrong(path, told, "a whole number, 0 or more", value)
    return None


def seconds(path: KeyPath, value: Any, told: Told) -> int | None:
    """Return whole seconds from 1 on."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_INT:
        return value
    _wrong(path, told, "whole seconds, 1 or more", value)
    return None


def size_bytes(path: KeyPath, value: Any, told: Told) -> int | None:
    """Return a number of bytes, given as one or as "64 GiB"."""
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        value = int(found["number"]) * _UNITS[found["unit"]]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INT:
        return value
    _wrong(path, told, 'bytes, 0 or more, or text such as "64 GiB"', value)
    return None


def rate(path: KeyPath, value: Any, told: Told) -> int | None:
    """Return bytes per second from 1 KiB on, given as a number or as "10 MiB"."""
    before = len(told)
    found = size_bytes(path, value, told)
    if len(told) > before or (found is not None and found >= _LEAST_RATE):
        return found
    _wrong(path, told, f"{_LEAST_RATE} bytes per second or more", value)
    return None


def address(path: KeyPath, value: Any, told: Told) -> str:
    """Return HOST:PORT, with a port above 0."""
    if (
        isinstance(value, str)
        and (found := _ADDRESS.fullmatch(value))
        and 0 < int(found["port"]) <= MAX_PORT
    ):
        return value
    _wrong(path, told, '"HOST:PORT"', value)
    return ""


def one_of(*words: str) -> Check:
    """Return a check for one of the words."""

    def check(path: KeyPath, value: Any, told: Told) -> str | None:
        if isinstance(value, str) and value in words:
            return value
        _wrong(path, told, "one of " + ", ".join(f'"{word}"' for word in words), value)
        return None

    return check


def globs(path: KeyPath, value: Any, told: Told) -> Globs:
    """Return a list of texts that are not empty; `*`, `?` and `[…]` have their usual meaning."""
    return _items(path, value, told, "a list of texts", _text)


def digests(path: KeyPath, value: Any, told: Told) -> tuple[str, ...]:
    """Return a list of digests."""

    def check(at: KeyPath, item: Any, also_told: Told) -> str | None:
        if isinstance(item, str) and _DIGEST.fullmatch(item):
            return item
        _wrong(at, also_told, '"sha256:" and 64 digits and letters a to f', item)
        return None

    return _items(path, value, told, "a list of digests", check)


def commands(path: KeyPath, value: Any, told: Told) -> tuple[Globs, ...]:
    """Return a list of commands, each a list with a glob for every word; [] is no command."""

    def words(at: KeyPath, item: Any, also_told: Told) -> Globs:
        return _items(at, item, also_told, "a list of words, one glob each", _word)

    return _items(path, value, told, 'a list of commands such as ["python", "**"]', words)


def paths(path: KeyPath, value: Any, told: Told) -> tuple[Path, ...]:
    """Return a list of absolute paths."""
    return _items(path, value, told, "a list of absolute paths", absolute)


def absolute(path: KeyPath, value: Any, told: Told) -> Path | None:
    """Return an absolute path without `..`; whether it is there is not asked."""
    if (
        isinstance(value, str)
        and value.startswith("/")
        and "\x00" not in value
        and ".." not in value.split("/")
    ):
        return Path(value)
    _wrong(path, told, "an absolute path without '..'", value)
    return None


def _text(path: KeyPath, value: Any, told: Told) -> str | None:
    if isinstance(value, str) and value:
        return value
    _wrong(path, told, "text that is not empty", value)
    return None


def _word(path: KeyPath, value: Any, told: Told) -> str | None:
    if isinstance(value, str):
        return value
    _wrong(path, told, "text", value)
    return None


def _items(path: KeyPath, value: Any, told: Told, what: str, check: Check) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _wrong(path, told, what, value)
        return ()
    return tuple(check((*path, number), item, told) for number, item in enumerate(value))


def _wrong(path: KeyPath, told: Told, allowed: str, value: Any) -> None:
    told.append(Wrong(path=path, message=f"must be {allowed}, not {_shown(value)}"))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  a line's worth
