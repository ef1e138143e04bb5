"""Pure: which numbers an image's user name means, read as the engine would read it.

A name proves nothing: an image may call its root `app`. So every container is created with
numbers, and the names are resolved here.
"""

from dataclasses import dataclass

PASSWD, GROUP = "/etc/passwd", "/etc/group"

MAX_ID = 2**31 - 1

_PASSWD_FIELDS, _GROUP_FIELDS = 4, 3


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user as the kernel knows it; `has_home` if the image names a home for it."""

    uid: int
    gid: int
    has_home: bool


def resolve(user: str, passwd: str, group: str) -> Account | None:
    """Return what `name`, `uid`, `name:group` or `uid:gid` means, None if the image can't say.

    A number is always a number, even if an account has it for a name.
    """
    name, colon, group_name = user.partition(":")
    wanted = _number(name)
    entries = [_entry(line, _PASSWD_FIELDS) for line in passwd.splitlines()]
    found = next(
        (
            entry
            for entry in entries
            if entry and (entry[0] == name if wanted is None else _number(entry[2]) == wanted)
        ),
        None,
    )
    uid = wanted if wanted is not None else _number(found[2]) if found else None
    # Without an account the engine would make it group 0; the uid's own is less.
    gid = _number(found[3]) if found else uid
    if colon:
        gid = _group(group_name, group)
    if uid is None or gid is None:
        return None
    return Account(uid=uid, gid=gid, has_home=found is not None)


def _group(name: str, group: str) -> int | None:
    number = _number(name)
    if number is not None:
        return number
    for line in group.splitlines():
        entry = _entry(line, _GROUP_FIELDS)
        if entry and entry[0] == name:
            return _number(entry[2])
    return None


def _entry(line: str, fields: int) -> list[str] | None:
    entry = line.strip().split(":")
    return entry if len(entry) >= fields and entry[0] else None


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= MAX_ID else None
