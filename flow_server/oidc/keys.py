"""The issuer's public keys: kept, renewed before they are old, and asked for when one is new.

A provider that is down costs nobody who holds a token of a known key anything, for a day.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from flow_server.oidc.fetch import NotFetched, fetch_json

log = structlog.get_logger()

FRESH_S = 300.0
# After this a key that could not be confirmed is trusted no more: it may have been withdrawn.
TRUSTED_S = 86_400.0
# A key id that nobody knows may be anybody's invention; the issuer is not asked more often.
ASK_AGAIN_S = 10.0
WAIT_S = 8.0

# Who signs with a shared secret could be anybody who knows it: those are no keys here.
_KINDS = frozenset({"RSA", "EC", "OKP"})


class KeyUnknown(Exception):
    """The issuer has no such key."""


class IssuerSilent(Exception):
    """The issuer can't be asked now."""


class IssuerKeys:
    """The keys of `issuer`, by key id."""

    def __init__(
        self,
        issuer: str,
        *,
        fetch: Callable[[str], dict[str, Any]] = fetch_json,
        clock_s: Callable[[], float] = time.monotonic,
        wait_s: float = WAIT_S,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock_s = clock_s
        self._wait_s = wait_s
        self._keys: dict[str, PyJWK] = {}
        self._confirmed_at_s: float | None = None
        self._asked_at_s: float | None = None
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> PyJWK:
        """Return one key.

        Raises:
            KeyUnknown: the issuer has no such key.
            IssuerSilent: it has to be asked, and does not answer.
        """
        key = self._keys.get(key_id) if self._age_s() < TRUSTED_S else None
        if key is not None:
            if self._age_s() >= FRESH_S:
                # Nobody waits for that: the key is good enough for now.
                self._ask()
            return key
        await self._wait_for(self._ask())
        if self._age_s() >= TRUSTED_S:
            raise IssuerSilent
        if key_id not in self._keys:
            raise KeyUnknown
        return self._keys[key_id]

    async def aclose(self) -> None:
        """End what is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _age_s(self) -> float:
        at_s = self._confirmed_at_s
        return float("inf") if at_s is None else self._clock_s() - at_s

    def _ask(self) -> asyncio.Task[None] | None:
        """Have the keys fetched, by one at a time and not too often; None if it is too soon."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        now_s = self._clock_s()
        if self._asked_at_s is not None and now_s - self._asked_at_s < ASK_AGAIN_S:
            return None
        self._asked_at_s = now_s
        self._asking = asyncio.create_task(self._renew(), name="issuer_keys")
        return self._asking

    async def _wait_for(self, asking: asyncio.Task[None] | None) -> None:
        if asking is not None:
            # Not cancelled with whoever waits: others wait for it too.
            await asyncio.wait({asking}, timeout=self._wait_s)

    async def _renew(self) -> None:
        try:
            keys = await asyncio.to_thread(self._read)
        except NotFetched as problem:
            log.warning("issuer_keys_not_renewed", issuer=self._issuer, problem=str(problem))
            return
        self._keys = keys
        self._confirmed_at_s = self._clock_s()
        log.info("issuer_keys_renewed", issuer=self._issuer, keys=len(keys))

    def _read(self) -> dict[str, PyJWK]:
        base = self._issuer.rstrip("/")
        described = self._fetch(f"{base}/.well-known/openid-configuration")
        if described.get("issuer") != self._issuer:
            raise NotFetched("the document there is another issuer's; check --oidc-issuer")
        where = described.get("jwks_uri")
        if not isinstance(where, str):
            raise NotFetched("the document there names no jwks_uri")
        listed = self._fetch(where).get("keys")
        if not isinstance(listed, list):
            raise NotFetched(f"{where} lists no keys")
        return {key.key_id: key for item in listed if (key := _key(item)) and key.key_id}


def _key(item: object) -> PyJWK | None:
    if not isinstance(item, dict) or item.get("kty") not in _KINDS:
        return None
    if item.get("use", "sig") != "sig" or not isinstance(item.get("kid"), str):
        return None
    try:
        return PyJWK(item)
    except (PyJWTError, ValueError):
        # Of a kind that this version doesn't know; the others are as good as they were.
        return None
