"""From an issuer's token to a caller: signature, times, audience, then name and role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from jwt.exceptions import PyJWTError

from flow_contract.access import ROLE_RIGHTS, Caller, CallerKind, Right, Role
from flow_contract.errors import InvalidArgument, Kind, Unauthenticated, Unavailable
from flow_server.oidc.fetch import is_trustworthy
from flow_server.oidc.keys import IssuerKeys, IssuerSilent, KeyUnknown

log = structlog.get_logger()

LEEWAY_S = 60
MAX_TOKEN_BYTES = 16_384
MAX_NAME_LENGTH = 200
# Only signatures that the issuer alone can make: nothing with a shared secret, and not "none".
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose tokens are accepted, for whom, and what their claims mean here.

    `role_claim` may be a path with dots; `roles` gives some of its values a role. A user of
    whom no value has one is known and may do nothing.
    """

    issuer: str
    audience: str
    user_claim: str = "sub"
    role_claim: str = "roles"
    roles: Mapping[str, Role]


class Issuer:
    """Tells callers by the tokens of one issuer.

    Raises:
        InvalidArgument: at construction, where the issuer can't be trusted to be itself.
    """

    def __init__(self, trust: Trust, keys: IssuerKeys) -> None:
        if not is_trustworthy(trust.issuer):
            raise InvalidArgument(
                "--oidc-issuer: give the https URL of the identity provider, as its tokens have "
                "it in 'iss'",
                kind=Kind.SERVER,
                field="oidc_issuer",
            )
        self._trust = trust
        self._keys = keys
        self._host = urlsplit(trust.issuer).hostname or ""

    async def caller_of(self, bearer: str) -> Caller:
        """Return who shows this token.

        Raises:
            Unauthenticated: it is not good; why stands in the log.
            Unavailable: the issuer's keys are not known yet, and it does not answer.
        """
        try:
            claims = await self._claims(bearer)
            name = _name(claims, self._trust.user_claim)
        except IssuerSilent:
            raise Unavailable(
                "the identity provider does not answer, so its tokens can't be checked; try again",
                kind=Kind.SERVER,
            ) from None
        except (PyJWTError, KeyUnknown, _Unusable, RecursionError) as error:
            # By its kind alone: its text may repeat what the token says.
            log.info("token_refused", issuer=self._trust.issuer, why=type(error).__name__)
            raise Unauthenticated(
                "the identity provider's token is not accepted: sign in there again"
            ) from None
        return Caller(
            kind=CallerKind.USER, name=f"{name}@{self._host}", rights=self._rights(claims)
        )

    async def aclose(self) -> None:
        """End what is under way."""
        await self._keys.aclose()

    async def _claims(self, bearer: str) -> dict[str, Any]:
        if len(bearer) > MAX_TOKEN_BYTES:
            raise _Unusable
        header = jwt.get_unverified_header(bearer)
        key_id = header.get("kid")
        # Asked before the key: a forged header must not make us ask the issuer for it.
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise _Unusable
        return jwt.decode(
            bearer,
            await self._keys.get(key_id),
            algorithms=list(ALGORITHMS),
            audience=self._trust.audience,
            issuer=self._trust.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud"]},
        )

    def _rights(self, claims: Mapping[str, Any]) -> frozenset[Right]:
        value: object = claims
        for step in self._trust.role_claim.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        values: Sequence[object] = value if isinstance(value, list) else [value]
        roles = [
            self._trust.roles[v] for v in values if isinstance(v, str) and v in self._trust.roles
        ]
        return frozenset[Right]().union(*(ROLE_RIGHTS[role] for role in roles))


class _Unusable(Exception):
    """A token that is well-formed, and not one that can be used here."""


def _name(claims: Mapping[str, Any], claim: str) -> str:
    name = claims.get(claim)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise _Unusable
    return name
