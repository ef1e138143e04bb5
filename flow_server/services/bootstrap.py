"""The first admin: a server that knows no user yet makes the one whose token `server init` left."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from flow_contract.errors import Conflict, InvalidArgument, Kind
from flow_contract.users import check_user_name
from flow_server.storage import tokens, users
from flow_server.storage.database import Database

log = structlog.get_logger()

FILE_NAME = "bootstrap.json"
_VALID = timedelta(days=365)
_LABEL = "made by 'fedflow server init'"


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """The first admin and the hash of its token."""

    user: str
    token_id: str
    secret_hash: str = field(repr=False)
    expires_at: datetime | None


def read(directory: Path) -> Bootstrap | None:
    """Return what the directory says of the first admin, None if it says nothing.

    Raises:
        InvalidArgument: the file can't be read as one of ours.
    """
    path = directory / FILE_NAME
    try:
        document = json.loads(path.read_text())
        bootstrap = Bootstrap(
            user=document["user"],
            token_id=document["token_id"],
            secret_hash=document["secret_hash"],
            expires_at=_time_of(document.get("expires_at")),
        )
        check_user_name(bootstrap.user)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, InvalidArgument) as error:
        raise InvalidArgument(
            f"{path}: not a file that 'fedflow server init' wrote ({type(error).__name__}); "
            "remove it and make another",
            kind=Kind.SERVER,
        ) from error
    return bootstrap


async def make_first_admin(database: Database, bootstrap: Bootstrap, *, now: datetime) -> bool:
    """Make the first admin with its token, if there is no user at all; say whether it was so.

    Raises:
        Conflict: there is no user, and the token has expired.
    """
    async with database.transaction() as connection:
        if not await users.insert_first_admin(connection, bootstrap.user):
            return False
        if bootstrap.expires_at is not None and bootstrap.expires_at <= now:
            raise Conflict(
                f"{FILE_NAME}: its token expired before there was any user; "
                "make another with 'fedflow server init' in an empty directory",
                kind=Kind.SERVER,
            )
        await tokens.insert_token(
            connection,
            token_id=bootstrap.token_id,
            secret_hash=bootstrap.secret_hash,
            user_name=bootstrap.user,
            label=_LABEL,
            expires_at=bootstrap.expires_at or now + _VALID,
        )
    log.info("first_admin_made", user=bootstrap.user, token_id=bootstrap.token_id)
    return True


def _time_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
