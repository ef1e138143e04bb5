"""Signing in: what a bearer token says about who calls, and until when that may be believed.

What was found good is believed for a few seconds without asking the database again; a wake-up
on the identity channel ends that at once.
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from flow_contract.access import Caller, CallerKind, rights_of
from flow_contract.errors import Unauthenticated
from flow_contract.secrets import NotASecret, Secret, read_api_token
from flow_server.storage import tokens
from flow_server.storage.database import Database
from flow_server.storage.tokens import KnownToken

log = structlog.get_logger()

BELIEVED_S = 5.0
_MAX_BELIEVED = 10_000
_PREFIX = "ff."
# Compared with where there is no such token, so that its absence takes as long as a wrong secret.
_NO_HASH = "0" * 64

VerifyIssued = Callable[[str], Awaitable[Caller]]


def refused() -> Unauthenticated:
    """Return the one error of every token that is not good: which of all it is, is not said."""
    return Unauthenticated(
        "the token is not accepted: it is unknown, expired or revoked, or its user is disabled; "
        "ask an admin of this server for another"
    )


@dataclass(frozen=True, kw_only=True)
class _Believed:
    caller: Caller
    digest: str = field(repr=False)
    until_s: float


class SignIn:
    """Tells callers by their tokens: this server's own, and an issuer's where one is trusted.

    Invariant: nothing is believed that was read before a wake-up about it.
    """

    def __init__(
        self,
        database: Database,
        *,
        verify_issued: VerifyIssued | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._verify_issued = verify_issued
        self._clock_s = clock_s
        self._believed: dict[str, _Believed] = {}
        self._wake_ups = 0
        self._used: set[str] = set()

    async def caller_of(self, bearer: str) -> Caller:
        """Return who shows this token.

        Raises:
            Unauthenticated: it is not good.
            Unavailable: nobody can tell now.
        """
        if not bearer.startswith(_PREFIX):
            if self._verify_issued is None:
                raise refused()
            return await self._verify_issued(bearer)
        try:
            secret = read_api_token(bearer)
        except NotASecret:
            raise refused() from None
        caller = self._believed_caller(secret) or await self._look_up(secret)
        self._used.add(secret.token_id)
        return caller

    def changed(self, subject: str) -> None:
        """Believe nothing any more of "token:<id>" or "user:<name>"."""
        self._wake_ups += 1
        kind, _, name = subject.partition(":")
        if kind == "token":
            self._believed.pop(name, None)
        elif kind == "user":
            for token_id, believed in list(self._believed.items()):
                if believed.caller.name == name:
                    del self._believed[token_id]

    def forget_all(self) -> None:
        """Believe nothing any more: wake-ups may have been missed."""
        self._wake_ups += 1
        self._believed.clear()

    async def note_uses(self) -> None:
        """Write down which tokens were used since this was last done."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with self._database.transaction() as connection:
                await tokens.note_use(connection, used)
        except BaseException:
            self._used |= used
            raise

    def _believed_caller(self, secret: Secret) -> Caller | None:
        believed = self._believed.get(secret.token_id)
        if believed is None or believed.until_s <= self._clock_s():
            return None
        # The wrong secret of a token that is in use costs a look at the database as any other.
        return believed.caller if hmac.compare_digest(believed.digest, secret.digest) else None

    async def _look_up(self, secret: Secret) -> Caller:
        wake_ups = self._wake_ups
        asked_at_s = self._clock_s()
        async with self._database.transaction() as connection:
            known = await tokens.find_token(connection, secret.token_id)
        is_right = hmac.compare_digest(
            _NO_HASH if known is None else known.secret_hash, secret.digest
        )
        if known is None or not is_right or known.good_for_s <= 0:
            log.info("token_refused", token_id=secret.token_id, why=_why(known, is_right=is_right))
            raise refused()
        caller = Caller(
            kind=CallerKind.USER,
            name=known.user_name,
            rights=rights_of(known.role, known.scopes),
            credential=secret.token_id,
        )
        if wake_ups == self._wake_ups:
            if len(self._believed) >= _MAX_BELIEVED:
                self._believed.clear()
            self._believed[secret.token_id] = _Believed(
                caller=caller,
                digest=secret.digest,
                until_s=asked_at_s + min(BELIEVED_S, known.good_for_s),
            )
        return caller


def _why(known: KnownToken | None, *, is_right: bool) -> str:
    if known is None:
        return "unknown"
    return "ended" if is_right else "wrong secret"
