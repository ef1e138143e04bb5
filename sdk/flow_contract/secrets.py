"""The two secrets that people carry: an API token, and a party's one-time enrolment token.

Both name themselves in clear, so that one can be listed and revoked without being known, and
both are stored as a hash only. Their secret half has 256 random bits, so a plain hash is enough:
there is nothing to guess.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

SECRET_BYTES = 32
ID_BYTES = 6

_API = "ff"
_ENROLMENT = "ffe"
_API_PATTERN = re.compile(r"ff\.([0-9a-f]{12})\.([A-Za-z0-9_-]{43})")
_ENROLMENT_PATTERN = re.compile(
    r"ffe\.([0-9a-f]{12})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{1,8192})"
)


class NotASecret(ValueError):
    """A text that is not one of our tokens; the message never repeats it."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A token taken apart. `secret` shows in no repr."""

    token_id: str
    secret: str = field(repr=False)

    @property
    def digest(self) -> str:
        """What is stored: 64 hex digits."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Enrolment(Secret):
    """An enrolment token: with it goes the certificate (DER) that the server is known by.

    Whoever got the token over a channel they trust can so trust the server at first sight.
    """

    ca_der: bytes = field(repr=False)


def make_secret(random_bytes: bytes) -> Secret:
    """Return a secret from SECRET_BYTES + ID_BYTES random bytes."""
    if len(random_bytes) != SECRET_BYTES + ID_BYTES:
        raise ValueError(f"{SECRET_BYTES + ID_BYTES} random bytes make a secret")
    return Secret(token_id=random_bytes[:ID_BYTES].hex(), secret=_to_text(random_bytes[ID_BYTES:]))


def write_api_token(secret: Secret) -> str:
    """Return the text that a user keeps."""
    return f"{_API}.{secret.token_id}.{secret.secret}"


def read_api_token(text: str) -> Secret:
    """Take an API token apart. Raises NotASecret."""
    match = _API_PATTERN.fullmatch(text.strip())
    if match is None:
        raise NotASecret("not an API token; it begins with 'ff.' and has three parts")
    return Secret(token_id=match[1], secret=match[2])


def write_enrolment(secret: Secret, ca_der: bytes) -> str:
    """Return the text that goes to the site, once."""
    return f"{_ENROLMENT}.{secret.token_id}.{secret.secret}.{_to_text(ca_der)}"


def read_enrolment(text: str) -> Enrolment:
    """Take an enrolment token apart. Raises NotASecret."""
    match = _ENROLMENT_PATTERN.fullmatch(text.strip())
    if match is None:
        raise NotASecret("not an enrolment token; it begins with 'ffe.' and has four parts")
    try:
        ca_der = base64.urlsafe_b64decode(match[3] + "=" * (-len(match[3]) % 4))
    except binascii.Error:
        raise NotASecret("an enrolment token that was cut or changed on its way") from None
    return Enrolment(token_id=match[1], secret=match[2], ca_der=ca_der)


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
