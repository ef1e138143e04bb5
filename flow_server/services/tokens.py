"""Use cases of API tokens: making, listing and revoking them."""

import secrets
from collections.abc import Collection
from datetime import timedelta

from flow_contract import checks
from flow_contract.access import Caller, Right, Role, rights_of
from flow_contract.errors import Conflict, Forbidden, InvalidArgument, Kind
from flow_contract.secrets import ID_BYTES, SECRET_BYTES, make_secret, write_api_token
from flow_contract.users import MAX_LABEL_LENGTH, MAX_TOKEN_DAYS, ApiToken
from flow_server.domain.access import RULES, decide, owner_name
from flow_server.storage import changes, tokens, users
from flow_server.storage.database import Database

DEFAULT_TOKEN_DAYS = 90
# That can still be used, of one user: nobody keeps track of more.
MAX_GOOD_TOKENS = 100


class TokenService:
    """Keeps tokens. A token's text leaves once, in the answer that made it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        user_name: str,
        *,
        label: str,
        scopes: Collection[Right] | None,
        valid_days: int,
        caller: Caller,
    ) -> tuple[str, ApiToken]:
        """Return a new token's text, and what is known of it; "" for `user_name` is the caller.

        It carries no right that the caller lacks.

        Raises:
            InvalidArgument: a field that has to change, or there is no such caller here.
            NotFound: no such user.
            Conflict: the user has as many as anybody may have.
            Forbidden: another user's, or rights that the caller lacks.
        """
        user_name = _named(user_name, caller)
        checks.text("label", label, max_chars=MAX_LABEL_LENGTH)
        checks.number("valid_days", valid_days, least=1, most=MAX_TOKEN_DAYS)
        if scopes is not None and not scopes:
            raise InvalidArgument(
                "scopes: name at least one right, or leave them out for all of the role's",
                field="scopes",
            )
        decide(RULES["UserService/CreateToken"], caller, user_name)
        secret = make_secret(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
        async with self._database.transaction() as connection:
            role = (await users.get_user(connection, user_name)).role
            if await tokens.count_good(connection, user_name) >= MAX_GOOD_TOKENS:
                raise Conflict(
                    f"user {user_name!r} has {MAX_GOOD_TOKENS} tokens; revoke one first",
                    kind=Kind.TOKEN,
                )
            known_as = await tokens.insert_token(
                connection,
                token_id=secret.token_id,
                secret_hash=secret.digest,
                user_name=user_name,
                label=label,
                scopes=_granted(role, scopes, caller),
                valid=timedelta(days=valid_days),
            )
        return write_api_token(secret), known_as

    async def list(self, user_name: str, *, caller: Caller) -> list[ApiToken]:
        """Return a user's newest tokens, newest first; "" is the caller.

        Raises:
            NotFound: no such user.
            Forbidden: another user's.
        """
        user_name = _named(user_name, caller)
        decide(RULES["UserService/ListTokens"], caller, user_name)
        async with self._database.snapshot() as connection:
            await users.get_user(connection, user_name)
            return await tokens.list_tokens(connection, user_name)

    async def revoke(self, token_id: str, *, caller: Caller) -> None:
        """Refuse a token from now on, at every replica, and end what lasts in its name.

        Raises:
            NotFound: no such token.
            Forbidden: another user's.
        """
        checks.text("token_id", token_id)
        async with self._database.transaction() as connection:
            owner = await tokens.user_of(connection, token_id)
            decide(RULES["UserService/RevokeToken"], caller, owner)
            await tokens.revoke_token(connection, token_id)
            await changes.notify_identity(connection, [f"token:{token_id}"])


def _named(user_name: str, caller: Caller) -> str:
    checks.text("user_name", user_name)
    if name := user_name or owner_name(caller):
        return name
    raise InvalidArgument(
        "user_name: say whose; this server did not ask who you are", field="user_name"
    )


def _granted(
    role: Role, scopes: Collection[Right] | None, caller: Caller
) -> frozenset[Right] | None:
    asked = None if scopes is None else frozenset(scopes)
    lacking = (asked or frozenset()) - caller.rights
    if lacking:
        raise Forbidden(
            f"scopes: {', '.join(sorted(lacking))}: the token that you use does not carry this, "
            "so it can't make one that does"
        )
    if asked is None and not rights_of(role, None) <= caller.rights:
        # A scope, and not only fewer rights today: the role may be given more tomorrow.
        asked = caller.rights
    if not rights_of(role, asked):
        raise InvalidArgument(
            f"scopes: none of them belongs to the role {role.value}, so the token could do nothing",
            field="scopes",
        )
    return asked
