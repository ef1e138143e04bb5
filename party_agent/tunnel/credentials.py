"""What an agent shows to others in TLS, and by whom theirs must be signed: its identity on disk.

Read again only when renewal has put another in its place.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from party_agent.identity import files
from party_agent.identity.files import IdentityMissing, IdentityUnusable
from party_agent.tunnel.trust import authorities_of

_LOOKS = 3


class NoCredentials(Exception):
    """The site has no identity that could be shown to others; the message says why."""


@dataclass(frozen=True)
class Credentials:
    """One identity, ready for TLS. `authorities_pem` are those that sign parties."""

    dials: ssl.SSLContext
    answers: ssl.SSLContext
    authorities_pem: bytes


class CredentialsOnDisk:
    """The identity in a state directory, as it is now. Of one thread."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._place: Path | None = None
        self._known: Credentials | None = None

    def current(self) -> Credentials:
        """Return them. Raises NoCredentials."""
        for _ in range(_LOOKS):
            try:
                place = files.place_of(self._state_dir)
                if self._known is None or place != self._place:
                    self._known, self._place = self._load(place), place
            except FileNotFoundError:
                # Renewed meanwhile; the old one is gone.
                continue
            except (OSError, ValueError, IdentityMissing, IdentityUnusable) as error:
                raise NoCredentials(str(error)) from error
            else:
                return self._known
        raise NoCredentials(f"the identity in {self._state_dir} is incomplete")

    def _load(self, place: Path) -> Credentials:
        identity = files.read(self._state_dir)
        authorities_pem = authorities_of(identity.certificate_pem, identity.ca_pem)
        if not authorities_pem:
            raise NoCredentials(
                "the identity does not hold the certificate of who signs parties; enrol with "
                "--again, or wait for its renewal"
            )
        dials = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Looked at by hand after the handshake: see trust.
        dials.check_hostname = False
        dials.verify_mode = ssl.CERT_NONE
        answers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        answers.verify_mode = ssl.CERT_REQUIRED
        answers.load_verify_locations(cadata=authorities_pem.decode("ascii"))
        # Every connection has its own key; nobody comes back to one.
        answers.num_tickets = 0
        for context in (dials, answers):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(*files.pair_in(place))
        return Credentials(dials, answers, authorities_pem)
