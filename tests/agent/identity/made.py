"""Identities for tests: a CA of ours, parties that it signed, and servers that speak TLS."""

from datetime import UTC, datetime, timedelta

from flow_contract.secrets import (
    ID_BYTES,
    SECRET_BYTES,
    make_secret,
    read_enrolment,
    write_enrolment,
)
from flow_server.pki.authority import Authority, make_ca
from flow_server.pki.requests import read_request
from party_agent.identity.files import Identity
from party_agent.identity.keys import make_key, make_request

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = ("localhost", "127.0.0.1")


class Ca:
    """An authority, and what it signs. `at` is when it signs; None is the present."""

    def __init__(self, *, at=None, label="test"):
        self._at = at
        made = make_ca(now=self.now() - timedelta(days=1), label=label)
        self.pem = made.certificate_pem
        self._authority = Authority(made.certificate_pem, made.key_pem)

    def now(self):
        return self._at or datetime.now(UTC)

    def sign(self, request_pem, party="hospital-a", *, at=None, days=90.0):
        return self._authority.sign_party(
            read_request(request_pem), federated_id=party, now=at or self.now(), days=days
        ).certificate_pem

    def server(self, *names, at=None):
        return self._authority.sign_server(names or NAMES, now=at or self.now())

    def identity(self, party="hospital-a", *, address="127.0.0.1:1", at=None, **when):
        key_pem = make_key()
        return Identity(
            party=party,
            server=address,
            agents_address=address,
            key_pem=key_pem,
            certificate_pem=self.sign(make_request(key_pem), party, at=at, **when),
            ca_pem=self.pem,
            received_at=at or self.now(),
        )


def enrolment_token(ca_der, filling=b"\x07"):
    """Return a token taken apart."""
    secret = make_secret(filling * (SECRET_BYTES + ID_BYTES))
    return read_enrolment(write_enrolment(secret, ca_der))
