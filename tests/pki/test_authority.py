"""What the authority signs, and what is in it."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from flow_contract.errors import InvalidArgument
from flow_server.pki.authority import CA_VALIDITY, SERVER_VALIDITY, SKEW, Authority, make_ca
from flow_server.pki.identities import read_identity, server_names
from flow_server.pki.requests import read_request
from tests.certificates import key_pem, make_key, request_pem

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca():
    return make_ca(now=NOW, label="test")


@pytest.fixture(scope="module")
def authority(ca):
    return Authority(ca.certificate_pem, ca.key_pem)


def sign(authority, key=None, *, party="hospital-a", days=90.0):
    request = read_request(request_pem(key or make_key()))
    return authority.sign_party(request, federated_id=party, now=NOW, days=days)


def extension(pem, kind):
    return x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(kind).value


def test_the_ca_signs_certificates_and_no_further_authorities(ca):
    limits = extension(ca.certificate_pem, x509.BasicConstraints)
    assert (limits.ca, limits.path_length) == (True, 0)
    usage = extension(ca.certificate_pem, x509.KeyUsage)
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)


def test_what_it_signs_is_its_own_and_verifies(ca, authority):
    issuer = x509.load_pem_x509_certificate(ca.certificate_pem)
    server = authority.sign_server(["localhost"], now=NOW).certificate_pem
    for pem in (server, sign(authority).certificate_pem):
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(issuer)


def test_a_party_s_certificate_is_for_clients_only_and_signs_nothing(authority):
    pem = sign(authority).certificate_pem
    assert list(extension(pem, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extension(pem, x509.BasicConstraints).ca
    assert not extension(pem, x509.KeyUsage).key_cert_sign


def test_a_server_s_certificate_is_for_servers_only(authority):
    pem = authority.sign_server(["localhost"], now=NOW).certificate_pem
    assert list(extension(pem, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_validity_begins_earlier_for_clocks_that_run_late(ca, authority):
    server = authority.sign_server(["localhost"], now=NOW).certificate_pem
    lengths = (
        (ca.certificate_pem, CA_VALIDITY),
        (server, SERVER_VALIDITY),
        (sign(authority, days=30).certificate_pem, timedelta(days=30)),
    )
    for pem, length in lengths:
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.not_valid_before_utc == NOW - SKEW
        assert certificate.not_valid_after_utc == NOW + length


def test_nothing_outlives_the_ca(ca, authority):
    late = NOW + CA_VALIDITY - timedelta(days=1)
    request = read_request(request_pem(make_key()))
    signed = authority.sign_party(request, federated_id="hospital-a", now=late, days=90)
    assert signed.not_after == NOW + CA_VALIDITY


def test_what_is_told_of_a_certificate_is_what_is_in_it(authority):
    signed = sign(authority)
    identity = read_identity(signed.certificate_pem)
    assert (identity.federated_id, identity.serial) == ("hospital-a", signed.serial)
    assert identity.not_after == signed.not_after
    assert signed.serial != sign(authority).serial


def test_one_key_has_one_hash_whatever_asks_for_it(authority):
    key = make_key()
    assert sign(authority, key).key_hash == sign(authority, key, party="other").key_hash
    assert sign(authority, key).key_hash != sign(authority).key_hash


def test_the_server_s_names_are_kept_as_they_were_given(authority):
    names = ["fed.example", "*.fed.example", "node_1", "127.0.0.1", "::1"]
    assert server_names(authority.sign_server(names, now=NOW).certificate_pem) == names


@pytest.mark.parametrize(
    "name", ["", "a b", "https://fed.example", "fed.example:1235", "a..b", "é", "x" * 300]
)
def test_a_server_s_name_that_is_none_is_refused(authority, name):
    with pytest.raises(InvalidArgument, match="--name"):
        authority.sign_server([name], now=NOW)


def test_a_key_that_is_not_the_ca_s_is_refused(ca):
    with pytest.raises(InvalidArgument, match=r"not the key of ca\.pem"):
        Authority(ca.certificate_pem, key_pem(make_key()))
    other_kind = key_pem(rsa.generate_private_key(public_exponent=65_537, key_size=2048))
    with pytest.raises(InvalidArgument, match="elliptic-curve"):
        Authority(ca.certificate_pem, other_kind)


def test_a_damaged_key_is_refused_and_shown_nowhere(ca):
    damaged = ca.key_pem[: len(ca.key_pem) // 2]
    with pytest.raises(InvalidArgument) as caught:
        Authority(ca.certificate_pem, damaged)
    shown = repr(caught.value) + str(caught.value) + repr(ca)
    assert ca.key_pem.decode().splitlines()[1][:20] not in shown


def test_a_certificate_that_is_no_party_s_names_nobody(ca, authority):
    server = authority.sign_server(["localhost"], now=NOW).certificate_pem
    for pem in (b"", b"garbage", ca.certificate_pem, server):
        assert read_identity(pem) is None


@pytest.mark.parametrize("party", ["a b", "../x", "a/b"])
def test_a_certificate_with_an_impossible_party_names_nobody(authority, party):
    assert read_identity(sign(authority, party=party).certificate_pem) is None
