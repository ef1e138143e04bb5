"""Reading one JSON document of an identity provider: bounded in size and time, never plain text.

The one exception is the provider on this very machine, as tests and trials have it.
"""

import ipaddress
import json
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

MAX_BYTES = 1024 * 1024
# Of each step on the socket; whoever waits gives up by itself too.
STEP_TIMEOUT_S = 5.0


class NotFetched(Exception):
    """The document could not be had; the text says why, for the log."""


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the keys that all trust rests on come from where the settings say."""


def is_trustworthy(url: str) -> bool:
    """Say whether what comes from `url` can be taken for its host's own word."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    )


def fetch_json(url: str) -> dict[str, Any]:
    """Return the JSON object at `url`. Blocks; meant for a thread.

    Raises:
        NotFetched: it isn't there, isn't one, is too large, or takes too long.
    """
    if not is_trustworthy(url):
        raise NotFetched(f"{url} is not https")
    request = Request(url, headers={"accept": "application/json"})  # noqa: S310 - checked above
    try:
        with _opener(url).open(request, timeout=STEP_TIMEOUT_S) as answer:
            body = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise NotFetched(f"{url} is larger than {MAX_BYTES} bytes")
        document = json.loads(body)
    except (URLError, OSError, ValueError) as error:
        raise NotFetched(f"{url}: {error}") from error
    if not isinstance(document, dict):
        raise NotFetched(f"{url} is not a JSON object")
    return document


def _opener(url: str) -> OpenerDirector:
    if _is_loopback(urlsplit(url).hostname or ""):
        # No proxy leads to this machine's own ports, whatever the environment says.
        return build_opener(_NoRedirect, ProxyHandler({}))
    return build_opener(_NoRedirect)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
