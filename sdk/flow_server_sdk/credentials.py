"""What a client shows a server and knows it by: where each comes from, and when TLS is spoken.

Pure: what is in the environment and in files is handed in by `known_servers`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flow_server_sdk.address import is_loopback

TOKEN_VARIABLE = "FEDFLOW_TOKEN"  # noqa: S105 - its name
TOKEN_FILE_VARIABLE = "FEDFLOW_TOKEN_FILE"  # noqa: S105 - its name
CA_VARIABLE = "FEDFLOW_CA"

# What an HTTP header can carry; gRPC's own complaint about another text would repeat it.
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where to get token and CA, each None if nobody says; a token itself shows in no repr."""

    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """How a server is spoken to.

    `ca_pem` None means the roots that this machine trusts. Invariant: a token goes over TLS only.
    """

    token: str | None = field(default=None, repr=False)
    ca_pem: bytes | None = field(default=None, repr=False)
    uses_tls: bool = False

    def __post_init__(self) -> None:
        if self.token is not None and not self.uses_tls:
            raise ValueError("token: is sent over TLS only")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)


def in_environment(environment: Mapping[str, str]) -> Sources:
    """Return what the environment says; an empty variable says nothing."""
    return Sources(
        token=environment.get(TOKEN_VARIABLE) or None,
        token_file=environment.get(TOKEN_FILE_VARIABLE) or None,
        ca_file=environment.get(CA_VARIABLE) or None,
    )


def choose(*sources: Sources) -> Sources:
    """Return the first that names a token, and the first that names a CA; earlier ones win."""
    with_token = next((s for s in sources if s.token is not None or s.token_file), Sources())
    return Sources(
        token=with_token.token,
        token_file=None if with_token.token is not None else with_token.token_file,
        ca_file=next((s.ca_file for s in sources if s.ca_file), None),
    )


def credentials(address: str, *, token: str | None, ca_pem: bytes | None) -> Credentials:
    """Return how `address` is spoken to.

    This machine's own ports are spoken to in plain text where nothing is known of them; all
    else, and everything that is shown a token, only over TLS.

    Raises:
        ValueError: the token is none; the text does not repeat it.
    """
    if token is not None:
        token = token.strip()
        if _TOKEN.fullmatch(token) is None:
            raise ValueError("token: is empty or has characters that no token has; copy it again")
    uses_tls = token is not None or ca_pem is not None or not is_loopback(address)
    return Credentials(token=token, ca_pem=ca_pem, uses_tls=uses_tls)
