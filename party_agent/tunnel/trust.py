"""Whom an agent lets into a tunnel: exactly the party that it expects, and nobody else.

Asked after the handshake, which has proved that the other side holds the certificate's key, and
before any byte passes. By hand, because parties' certificates are for clients alone: one that were
good for a server too could stand in for the server's own.
"""

from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flow_contract.ids import is_party_id
from party_agent.identity.keys import CLOCK_TOLERANCE

_PARTY_URI = "fedflow://party/"
# A run's peers, with what they had before a renewal.
_KNOWN_CERTIFICATES = 256


class PeerUntrusted(Exception):
    """Who answered is not the party that was expected; the message says how it shows."""


def check_peer(
    certificate_der: bytes | None, *, authorities_pem: bytes, federated_id: str, now: datetime
) -> None:
    """Accept the certificate of that party, signed by one of the authorities and good now.

    Raises:
        PeerUntrusted: there is none, or it is anything else.
    """
    if certificate_der is None:
        raise PeerUntrusted("it showed no certificate")
    certificate = _signed(certificate_der, authorities_pem)
    if now >= certificate.not_valid_after_utc:
        raise PeerUntrusted("its certificate has expired")
    if now < certificate.not_valid_before_utc - CLOCK_TOLERANCE:
        raise PeerUntrusted("its certificate is not valid yet")
    party = _party(certificate)
    if party != federated_id:
        raise PeerUntrusted(f"its certificate is party {party!r}'s, and not {federated_id!r}'s")


def authorities_of(chain_pem: bytes, ca_pem: bytes) -> bytes:
    """Return the certificates of who signed the first of `chain_pem`, PEM; empty if none is there.

    Other parties' are signed by the same. They stand where the server is known by, or, if that
    is an authority of its operator's, behind the party's own certificate.
    """
    own, *behind = x509.load_pem_x509_certificates(chain_pem)
    found = [
        each
        for each in (*behind, *x509.load_pem_x509_certificates(ca_pem))
        if _has_signed(each, own)
    ]
    return b"".join(_pem(each) for each in found)


@lru_cache(maxsize=_KNOWN_CERTIFICATES)
def _signed(certificate_der: bytes, authorities_pem: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        authorities = x509.load_pem_x509_certificates(authorities_pem)
    except ValueError:
        raise PeerUntrusted("there is no certificate in what it showed") from None
    if not any(_has_signed(each, certificate) for each in authorities):
        raise PeerUntrusted("its certificate was not signed by this federation's authority")
    return certificate


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.ca


def _party(certificate: x509.Certificate) -> str:
    try:
        extensions = certificate.extensions
        uris = extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.UniformResourceIdentifier)
        purposes = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        names = [
            name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise PeerUntrusted("its certificate is not a party's") from None
    party = uris[0].removeprefix(_PARTY_URI) if len(uris) == 1 else ""
    is_partys = (
        purposes == [ExtendedKeyUsageOID.CLIENT_AUTH]
        and uris == [_PARTY_URI + party]
        and names == [party]
        and is_party_id(party)
    )
    if not is_partys:
        raise PeerUntrusted("its certificate is not a party's")
    return party


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
