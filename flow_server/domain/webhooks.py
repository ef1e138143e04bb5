"""Where webhooks may go, how they are signed, and when one is tried again. Pure."""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from flow_contract import checks
from flow_contract.errors import InvalidArgument
from flow_contract.webhooks import MAX_URL_CHARS

FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 3600.0
GIVEN_UP_AFTER_S = 24 * 3600.0

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL that may be posted to, in its parts; `path` with its query."""

    host: str
    port: int
    path: str
    is_tls: bool


def target_of(url: str, *, allowed: Collection[str]) -> Target:
    """Return where a URL leads. Plain http leads only to hosts that are `allowed`.

    Raises:
        InvalidArgument: nowhere where this server posts to.
    """
    checks.text("url", url, max_chars=MAX_URL_CHARS)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("it is not a URL") from None
    # What could end the request line or a header would begin another request.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _bad("write spaces and what is not ASCII as %XX, and names in their xn-- form")
    if parts.scheme not in {"https", "http"} or not host:
        raise _bad("it must begin with https:// and a host")
    if parts.username is not None or parts.fragment:
        raise _bad("leave out user names and fragments; the signature proves who sends")
    literal = _literal(host)
    if literal is not None:
        require_allowed(host, literal, allowed=allowed)
    if parts.scheme == "http" and not _is_listed(host, literal, allowed):
        raise _bad("it must be https; http is only for hosts that the server's operator allows")
    return Target(
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        is_tls=parts.scheme == "https",
    )


def require_allowed(host: str, address: _Address, *, allowed: Collection[str]) -> None:
    """Accept a public address, or one that the operator allows by host, address or network.

    Raises:
        InvalidArgument: it lies inside: in the server's own networks, or on its machine.
    """
    plain = _plain(address)
    if plain.is_global and not plain.is_multicast:
        return
    if not _is_listed(host, plain, allowed):
        raise _bad(
            f"{host} is not a public address; the server's operator can allow it with "
            "FEDFLOW_SERVER_WEBHOOK_ALLOWED"
        )


def signature(secret: str, at_s: int, body: bytes) -> str:
    """Return the value of the header Fedflow-Signature; `at_s` counts seconds since 1970."""
    signed = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={signed}"


def retry_after_s(attempts: int, age_s: float) -> float | None:
    """Return in how long to try again after so many failed attempts, None for never."""
    pause_s = min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20), LONGEST_RETRY_S)
    return None if age_s + pause_s > GIVEN_UP_AFTER_S else pause_s


def _bad(why: str) -> InvalidArgument:
    return InvalidArgument(f"url: {why}", field="url")


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _plain(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_listed(host: str, address: _Address | None, allowed: Collection[str]) -> bool:
    for entry in allowed:
        if entry.lower() == host.lower():
            return True
        try:
            if address is not None and _plain(address) in ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False
