"""From a data name to the real path that is mounted, also while somebody moves links about.

The path is followed once, then walked again part by part without following anything: what is
mounted is a path that held no link at that moment. No refusal says anything of the site's paths.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from flow_contract.reasons import Reason
from party_agent.policy import decide
from party_agent.policy.rules import DataRule, DataRules
from party_agent.runtime.port import RuntimeRefused

DATA_TARGET = "/data"

DATA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def resolve(rules: DataRules, name: str, *, user: str | None = None) -> Path:
    """Return the real path behind `name`, `name/below/it` or, where allowed, an absolute path.

    It may block for as long as the site's disk likes.

    Raises:
        RuntimeRefused: there is no such data, it is not for this user, or it lies outside
            (also by way of a link, or because it was swapped for one just now).
    """
    usable = {key: rule for key, rule in rules.names.items() if decide.may_use(rule.users, user)}
    if name.startswith("/"):
        if not rules.absolute_paths:
            raise _unknown()
        return _walked(_real(name), _roots(rules, usable))
    head, _, below = name.partition("/")
    if head not in rules.names or not DATA_NAME.fullmatch(head):
        raise _unknown()
    if head not in usable:
        raise decide.refusal(decide.DATA_USERS)
    if below.startswith("/") or ".." in below.split("/"):
        raise _outside()
    (root,) = _roots(rules, {head: usable[head]}) or (None,)
    if root is None:
        raise _unknown()
    return _walked(_real(os.path.join(root, below)) if below else root, [root])  # noqa: PTH118  joined as text: a Path would clean it up


def _roots(rules: DataRules, names: Mapping[str, DataRule]) -> list[Path]:
    """Return the real paths of these data sets, those that aren't there left out."""
    wide = None if rules.roots is None else [_real_or_none(path) for path in rules.roots]
    roots = []
    for rule in names.values():
        root = _real_or_none(rule.path)
        if root is None:
            continue
        if wide is not None and not _is_inside(root, [each for each in wide if each is not None]):
            raise _outside()
        roots.append(root)
    return roots


def _walked(real: Path, roots: Iterable[Path]) -> Path:
    # Outside comes first, so that nobody learns what exists there.
    if not _is_inside(real, roots):
        raise _outside()
    try:
        descriptor = _open_without_links(real)
    except OSError:
        # Not there, or a part of it was no link a moment ago and is one now.
        raise _unknown() from None
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        # A socket or a device is a door, not data.
        raise _unknown()
    return real


def _open_without_links(path: Path) -> int:
    """Return a descriptor that only names `path`, no part of which is a link.

    Raises:
        OSError: it is not there, or a part is a link or no directory.
    """
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open("/", flags | os.O_DIRECTORY)
    parts = path.parts[1:]
    for number, part in enumerate(parts, start=1):
        # A link that is opened by name only would be no error without O_DIRECTORY.
        more = os.O_DIRECTORY if number < len(parts) else 0
        try:
            inner = os.open(part, flags | more, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotADirectoryError
    return descriptor


def _is_inside(path: Path, roots: Iterable[Path]) -> bool:
    return any(path == root or path.is_relative_to(root) for root in roots)


def _real(path: str | Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (ValueError, OSError):
        raise _unknown() from None


def _real_or_none(path: Path) -> Path | None:
    with suppress(ValueError, OSError):
        return Path(os.path.realpath(path, strict=True))
    return None


def _unknown() -> RuntimeRefused:
    return decide.refusal(decide.DATA_NAMES, Reason.DATA_UNKNOWN)


def _outside() -> RuntimeRefused:
    return decide.refusal(decide.DATA_ROOTS, Reason.DATA_OUTSIDE_ROOTS)
