"""Users and their API tokens, as they are shown: no secret is ever part of either."""

import re
from dataclasses import dataclass
from datetime import datetime

from flow_contract.access import Right, Role
from flow_contract.errors import InvalidArgument

# No "@": a name with one was given by an identity provider, so the two can't meet.
USER_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
MAX_LABEL_LENGTH = 100
MAX_TOKEN_DAYS = 3660


@dataclass(frozen=True, kw_only=True)
class User:
    """A user that this server keeps itself.

    A disabled one can't sign in any more; what it owns stays.
    """

    name: str
    role: Role
    is_disabled: bool = False
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApiToken:
    """A token without its secret; `token_id` is the part of it that may be shown.

    `scopes` None means everything that the user's role allows.
    """

    token_id: str
    user_name: str
    label: str = ""
    scopes: frozenset[Right] | None = None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


def check_user_name(name: str) -> None:
    """Accept a name for a user of this server.

    Raises:
        InvalidArgument: it can't be one.
    """
    if USER_NAME_PATTERN.fullmatch(name) is None:
        raise InvalidArgument(
            f"name: {name[:80]!r} can't name a user: use 1 to 63 lower-case letters, digits, "
            "'_', '.' or '-'",
            field="name",
        )
