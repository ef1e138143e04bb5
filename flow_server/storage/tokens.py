"""Queries on API tokens: their hashes come in and are compared, and never go out to anybody."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from flow_contract.access import Right, Role
from flow_contract.errors import Kind, NotFound
from flow_contract.users import ApiToken
from flow_server.storage.database import Connection
from flow_server.storage.identity_tables import tokens, users

# A user sees this many.
MAX_LISTED = 1000

_NOTE_USE = text(
    "UPDATE tokens SET last_used_at = now() WHERE token_id = ANY(:token_ids)"
).bindparams(bindparam("token_ids", type_=ARRAY(Text)))


@dataclass(frozen=True, kw_only=True)
class KnownToken:
    """What signing in needs.

    `good_for_s` is above 0 unless the token is expired or revoked, or its user disabled.
    """

    user_name: str
    role: Role
    scopes: frozenset[Right] | None
    secret_hash: str = field(repr=False)
    good_for_s: float


async def find_token(connection: Connection, token_id: str) -> KnownToken | None:
    """Return the token and its user's role, None if there is no such token."""
    left_s = func.extract("epoch", tokens.c.expires_at - func.now())
    statement = (
        select(
            tokens,
            users.c.role,
            users.c.disabled_at,
            left_s.label("left_s"),
        )
        .join(users, users.c.name == tokens.c.user_name)
        .where(tokens.c.token_id == token_id)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    is_ended = row.revoked_at is not None or row.disabled_at is not None
    return KnownToken(
        user_name=row.user_name,
        role=Role(row.role),
        scopes=_scopes(row),
        secret_hash=row.secret_hash,
        good_for_s=0 if is_ended else float(row.left_s),
    )


async def insert_token(
    connection: Connection,
    *,
    token_id: str,
    secret_hash: str,
    user_name: str,
    label: str = "",
    scopes: Collection[Right] | None = None,
    valid: timedelta | None = None,
    expires_at: datetime | None = None,
) -> ApiToken:
    """Store a new token that ends after `valid`, or at `expires_at`; return it."""
    statement = (
        insert(tokens)
        .values(
            token_id=token_id,
            secret_hash=secret_hash,
            user_name=user_name,
            label=label,
            scopes=null() if scopes is None else sorted(scopes),
            expires_at=func.now() + valid if expires_at is None else expires_at,
        )
        .returning(tokens)
    )
    return _token((await connection.execute(statement)).one())


async def count_good(connection: Connection, user_name: str) -> int:
    """Return how many tokens of this user can still be used."""
    statement = (
        select(func.count())
        .select_from(tokens)
        .where(
            tokens.c.user_name == user_name,
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > func.now(),
        )
    )
    total: int = (await connection.execute(statement)).scalar_one()
    return total


async def list_tokens(connection: Connection, user_name: str) -> list[ApiToken]:
    """Return a user's newest tokens, newest first, MAX_LISTED at most."""
    statement = (
        select(tokens)
        .where(tokens.c.user_name == user_name)
        .order_by(tokens.c.created_at.desc(), tokens.c.token_id)
        .limit(MAX_LISTED)
    )
    return [_token(row) for row in await connection.execute(statement)]


async def user_of(connection: Connection, token_id: str) -> str:
    """Return whose token it is.

    Raises:
        NotFound: there is none of this id.
    """
    statement = select(tokens.c.user_name).where(tokens.c.token_id == token_id)
    name: str | None = (await connection.execute(statement)).scalar_one_or_none()
    if name is None:
        raise not_found(token_id)
    return name


async def revoke_token(connection: Connection, token_id: str) -> None:
    """Refuse a token from now on; again changes nothing."""
    await connection.execute(
        update(tokens)
        .where(tokens.c.token_id == token_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


async def note_use(connection: Connection, token_ids: Collection[str]) -> None:
    """Say that these tokens were used just now."""
    await connection.execute(_NOTE_USE, {"token_ids": sorted(token_ids)})


def not_found(token_id: str) -> NotFound:
    """Return the error for a token that isn't there; what may be a secret is not repeated."""
    shown = token_id if len(token_id) == _ID_LENGTH and token_id.isalnum() else ""
    return NotFound(
        f"token not found{f': {shown!r}' if shown else ''}; give the id, the part between the "
        "dots, as 'fedflow token list' shows it",
        kind=Kind.TOKEN,
        subject_id=shown,
        field="token_id",
    )


_ID_LENGTH = 12


def _scopes(row: Row[Any]) -> frozenset[Right] | None:
    return None if row.scopes is None else frozenset(Right(right) for right in row.scopes)


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        token_id=row.token_id,
        user_name=row.user_name,
        label=row.label,
        scopes=_scopes(row),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
