"""What is asked of a certificate before it is kept. Pure."""

import ssl
from datetime import timedelta

import pytest

from flow_server.pki.identities import party_uri, read_identity
from party_agent.identity.keys import (
    CertificateUnfit,
    check_certificate,
    check_time,
    holds_certificate,
    make_key,
    make_request,
    read_facts,
    to_pem,
)
from tests.agent.identity.made import NOW, Ca


@pytest.fixture(scope="module")
def ca():
    return Ca(at=NOW)


@pytest.fixture(scope="module")
def key_pem():
    return make_key()


def test_what_the_server_signs_is_read_as_the_server_reads_it(ca, key_pem):
    certificate = ca.sign(make_request(key_pem), "hospital-a", days=90)
    facts = check_certificate(certificate, key_pem=key_pem, ca_pem=ca.pem, now=NOW)
    known = read_identity(certificate)
    assert (facts.party, facts.serial, facts.not_after) == (
        known.federated_id,
        known.serial,
        known.not_after,
    )
    assert facts.not_after == NOW + timedelta(days=90)
    assert party_uri("x") == "fedflow://party/x"


def test_a_certificate_for_another_key_is_of_no_use(ca, key_pem):
    certificate = ca.sign(make_request(make_key()))
    with pytest.raises(CertificateUnfit, match="another key"):
        check_certificate(certificate, key_pem=key_pem, ca_pem=ca.pem, now=NOW)


def test_a_certificate_that_only_names_the_ca_is_of_no_use(ca, key_pem):
    other = Ca(at=NOW)
    certificate = other.sign(make_request(key_pem))
    with pytest.raises(CertificateUnfit, match="not signed by the server's CA"):
        check_certificate(certificate, key_pem=key_pem, ca_pem=ca.pem, now=NOW)


def test_a_server_known_by_its_operator_s_ca_may_sign_parties_with_its_own(ca, key_pem):
    certificate = ca.sign(make_request(key_pem))
    operators = Ca(at=NOW, label="the operator's")
    facts = check_certificate(certificate, key_pem=key_pem, ca_pem=operators.pem, now=NOW)
    assert facts.party == "hospital-a"


def test_a_server_s_certificate_is_no_party_s(ca):
    pair = ca.server()
    with pytest.raises(CertificateUnfit, match="names no party"):
        check_certificate(pair.certificate_pem, key_pem=pair.key_pem, ca_pem=ca.pem, now=NOW)


@pytest.mark.parametrize("text", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_refused(ca, key_pem, text):
    with pytest.raises(CertificateUnfit, match="no certificate"):
        read_facts(text)
    with pytest.raises(CertificateUnfit, match="no certificate"):
        to_pem(text)
    assert not holds_certificate(text, b"")


def test_what_is_no_key_is_refused_and_not_repeated():
    with pytest.raises(CertificateUnfit) as caught:
        make_request(b"SECRET")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("clock_is_off_by", "fits"),
    [
        (timedelta(0), True),
        (timedelta(minutes=-59), True),
        (timedelta(minutes=-119), True),
        (timedelta(minutes=-121), False),
        (timedelta(hours=24, seconds=-1), True),
        (timedelta(hours=24), False),
    ],
)
def test_a_clock_that_is_late_by_less_than_two_hours_is_borne(ca, key_pem, clock_is_off_by, fits):
    facts = read_facts(ca.sign(make_request(key_pem), days=1))
    if fits:
        check_time(facts, now=NOW + clock_is_off_by)
        return
    with pytest.raises(CertificateUnfit, match=r"set the clock|enrol --again"):
        check_time(facts, now=NOW + clock_is_off_by)


def test_a_bundle_holds_the_certificates_that_it_holds(ca):
    other = Ca(at=NOW)
    der = ssl.PEM_cert_to_DER_cert(ca.pem.decode())
    assert holds_certificate(other.pem + ca.pem, der)
    assert not holds_certificate(other.pem, der)
    assert to_pem(der) == ca.pem
