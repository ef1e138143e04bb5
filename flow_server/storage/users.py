"""Queries on users. The last admin who can sign in can't be lost: one statement guards that."""

from typing import Any

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from flow_contract.access import Role
from flow_contract.errors import AlreadyExists, Conflict, Kind, NotFound
from flow_contract.users import User
from flow_server.storage.database import Connection
from flow_server.storage.identity_tables import users

# Who takes an admin away holds them all meanwhile: two who each take away the other come one
# after the other, and the second finds that there is only one left.
_UNLESS_LAST_ADMIN = """
    WITH admins AS (
      SELECT name FROM users WHERE role = 'admin' AND disabled_at IS NULL
      ORDER BY name FOR UPDATE
    )
    UPDATE users SET {change}
    WHERE name = :name AND ({stays_admin}
       OR name NOT IN (SELECT name FROM admins)
       OR EXISTS (SELECT FROM admins WHERE admins.name <> :name))
    RETURNING name
"""
_SET_ROLE = text(_UNLESS_LAST_ADMIN.format(change="role = :role", stays_admin=":role = 'admin'"))
_DISABLE = text(
    _UNLESS_LAST_ADMIN.format(
        change="disabled_at = coalesce(disabled_at, now())", stays_admin="false"
    )
)
_INSERT_FIRST = text(
    """
    INSERT INTO users (name, role) SELECT :name, 'admin' WHERE NOT EXISTS (SELECT FROM users)
    ON CONFLICT DO NOTHING RETURNING name
    """
)


async def insert_user(connection: Connection, name: str, role: Role) -> None:
    """Store a new user.

    Raises:
        AlreadyExists: the name is taken.
    """
    try:
        await connection.execute(insert(users).values(name=name, role=role))
    except IntegrityError as error:
        raise AlreadyExists(
            f"name: there is a user {name!r} already; choose another",
            kind=Kind.USER,
            subject_id=name,
            field="name",
        ) from error


async def insert_first_admin(connection: Connection, name: str) -> bool:
    """Store an admin if there is no user at all; say whether that was so."""
    return (await connection.execute(_INSERT_FIRST, {"name": name})).first() is not None


async def get_user(connection: Connection, name: str) -> User:
    """Return one user.

    Raises:
        NotFound: there is none of this name.
    """
    row = (await connection.execute(select(users).where(users.c.name == name))).one_or_none()
    if row is None:
        raise not_found(name)
    return _user(row)


async def list_users(connection: Connection, *, offset: int, limit: int) -> tuple[list[User], int]:
    """Return one page, by name, and the number of all."""
    page = select(users).order_by(users.c.name).offset(offset).limit(limit)
    rows = (await connection.execute(page)).all()
    total = (await connection.execute(select(func.count()).select_from(users))).scalar_one()
    return [_user(row) for row in rows], total


async def set_role(connection: Connection, name: str, role: Role) -> None:
    """Give a user another role.

    Raises:
        NotFound: there is none of this name.
        Conflict: nobody else could manage users then.
    """
    moved = await connection.execute(_SET_ROLE, {"name": name, "role": role.value})
    if moved.first() is None:
        raise await _why_not(connection, name)


async def disable_user(connection: Connection, name: str) -> None:
    """Let a user sign in no more; again changes nothing.

    Raises:
        NotFound: there is none of this name.
        Conflict: nobody else could manage users then.
    """
    if (await connection.execute(_DISABLE, {"name": name})).first() is None:
        raise await _why_not(connection, name)


async def enable_user(connection: Connection, name: str) -> None:
    """Let a user sign in again.

    Raises:
        NotFound: there is none of this name.
    """
    statement = update(users).where(users.c.name == name).values(disabled_at=None)
    if not (await connection.execute(statement)).rowcount:
        raise not_found(name)


def not_found(name: str) -> NotFound:
    """Return the error for a user that isn't there."""
    return NotFound(
        f"user not found: {name[:80]!r}; 'fedflow user list' shows those of this server",
        kind=Kind.USER,
        subject_id=name[:64],
        field="name",
    )


async def _why_not(connection: Connection, name: str) -> Conflict | NotFound:
    found = await connection.execute(select(users.c.name).where(users.c.name == name))
    if found.first() is None:
        return not_found(name)
    return Conflict(
        f"status conflict: {name!r} is the last admin who can sign in; make another one first",
        kind=Kind.USER,
        subject_id=name,
    )


def _user(row: Row[Any]) -> User:
    return User(
        name=row.name,
        role=Role(row.role),
        is_disabled=row.disabled_at is not None,
        created_at=row.created_at,
    )
