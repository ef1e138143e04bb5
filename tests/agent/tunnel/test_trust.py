"""Whom an agent lets into a tunnel: a table of everybody who might come."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from party_agent.tunnel.trust import PeerUntrusted, authorities_of, check_peer
from tests.agent.identity.made import NOW, Ca
from tests.certificates import Proof, make_key, sign_with

OURS = Ca(at=NOW)


def der(certificate_pem):
    return x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)


def self_made(party):
    """Return what a party of the federation signs with its own key for somebody else's name."""
    identity = OURS.identity("mallory")
    proof = Proof(identity.key_pem, identity.certificate_pem, OURS.pem)
    return sign_with(proof, make_key(), party)


def check(certificate_pem, *, party="hospital-b", now=NOW):
    check_peer(
        None if certificate_pem is None else der(certificate_pem),
        authorities_pem=OURS.pem,
        federated_id=party,
        now=now,
    )


def test_the_party_itself_is_let_in():
    check(OURS.identity("hospital-b").certificate_pem)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        pytest.param(lambda: None, "no certificate", id="nothing"),
        pytest.param(
            lambda: Ca(at=NOW, label="other").identity("hospital-b").certificate_pem,
            "not signed",
            id="another authority's",
        ),
        pytest.param(
            lambda: Ca(at=NOW).identity("hospital-b").certificate_pem,
            "not signed",
            id="another authority of the same name",
        ),
        pytest.param(
            lambda: OURS.identity("hospital-c").certificate_pem, "'hospital-c'", id="another party"
        ),
        pytest.param(
            lambda: OURS.identity("hospital-b2").certificate_pem, "'hospital-b2'", id="longer name"
        ),
        pytest.param(
            lambda: OURS.server("hospital-b").certificate_pem, "not a party's", id="a server"
        ),
        pytest.param(lambda: OURS.pem, "not a party's", id="the authority"),
        pytest.param(lambda: self_made("hospital-b"), "not signed", id="signed by a party"),
        pytest.param(
            lambda: (
                OURS.identity("hospital-b", at=NOW - timedelta(days=1), days=1.0).certificate_pem
            ),
            "expired",
            id="expired",
        ),
        pytest.param(
            lambda: OURS.identity("hospital-b", at=NOW + timedelta(days=1)).certificate_pem,
            "not valid yet",
            id="of tomorrow",
        ),
    ],
)
def test_nobody_else_is(shown, why):
    with pytest.raises(PeerUntrusted, match=why):
        check(shown())


def test_who_signs_parties_is_found_where_the_server_is_known_by_another():
    identity = OURS.identity("hospital-a")
    elsewhere = Ca(at=NOW, label="operator's")
    assert authorities_of(identity.certificate_pem, OURS.pem) == OURS.pem
    assert authorities_of(identity.certificate_pem, elsewhere.pem) == b""
    chain_pem = identity.certificate_pem + OURS.pem
    assert authorities_of(chain_pem, elsewhere.pem) == OURS.pem
