"""Keys, requests and certificates as bytes: made, and checked before anything is kept.

Nothing here reads a file or a clock, and no message repeats a key.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flow_contract.ids import is_party_id

# How far this machine's clock may be behind the server's.
CLOCK_TOLERANCE = timedelta(hours=1)

_PARTY_URI = "fedflow://party/"


class CertificateUnfit(Exception):
    """A certificate that is not this site's, or of no use; the message says why."""


@dataclass(frozen=True, kw_only=True)
class CertificateFacts:
    """What a party's certificate says. `serial` is lower-case hex."""

    party: str
    serial: str
    not_before: datetime
    not_after: datetime


def make_key() -> bytes:
    """Return a new private key (EC P-256), PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def make_request(key_pem: bytes) -> bytes:
    """Return a request to sign this key, PEM; whose key it is, the server knows from elsewhere.

    Raises:
        CertificateUnfit: it is not a key as `make_key` makes.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedflow agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(_read_key(key_pem), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )


def check_certificate(
    chain_pem: bytes, *, key_pem: bytes, ca_pem: bytes, now: datetime
) -> CertificateFacts:
    """Return what the chain's first certificate says, if it is of use with this key.

    Who signed it is checked where `ca_pem` holds the certificate of its issuer; a server that is
    known by a CA of its operator's signs parties with another one.

    Raises:
        CertificateUnfit: it is for another key, names no party, is not for clients, was not
            signed by the CA, or is not valid now.
    """
    facts, certificate = _read(chain_pem)
    if certificate.public_key() != _read_key(key_pem).public_key():
        raise CertificateUnfit("the certificate is for another key than this site's")
    _check_signer(certificate, ca_pem)
    check_time(facts, now=now)
    return facts


def check_time(facts: CertificateFacts, *, now: datetime) -> None:
    """Accept a certificate that is valid now, or will be as soon as a late clock is right.

    Raises:
        CertificateUnfit: it has expired, or is not valid yet.
    """
    if now >= facts.not_after:
        raise CertificateUnfit(
            f"the certificate expired at {_shown(facts.not_after)}; ask the server's operator to "
            "add the party again ('fedflow party add'), then: fedflow agent enrol --again"
        )
    if now < facts.not_before - CLOCK_TOLERANCE:
        raise CertificateUnfit(
            f"the certificate is valid from {_shown(facts.not_before)} on, and this machine's "
            f"clock says {_shown(now)}; set the clock"
        )


def read_facts(chain_pem: bytes) -> CertificateFacts:
    """Return what the chain's first certificate says. Raises CertificateUnfit."""
    return _read(chain_pem)[0]


def holds_certificate(bundle_pem: bytes, certificate_der: bytes) -> bool:
    """Say whether this certificate is one of the bundle's."""
    try:
        bundle = x509.load_pem_x509_certificates(bundle_pem)
    except ValueError:
        return False
    return any(each.public_bytes(serialization.Encoding.DER) == certificate_der for each in bundle)


def to_pem(certificate_der: bytes) -> bytes:
    """Return a certificate in PEM. Raises CertificateUnfit: it is none."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
    except ValueError:
        raise CertificateUnfit("there is no certificate in it") from None
    return certificate.public_bytes(serialization.Encoding.PEM)


def _read(chain_pem: bytes) -> tuple[CertificateFacts, x509.Certificate]:
    try:
        certificate = x509.load_pem_x509_certificate(chain_pem)
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except ValueError:
        raise CertificateUnfit("there is no certificate in it") from None
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        raise CertificateUnfit("the certificate is not a party's") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    party = uris[0].removeprefix(_PARTY_URI) if len(uris) == 1 else ""
    if not uris or not uris[0].startswith(_PARTY_URI) or not is_party_id(party):
        raise CertificateUnfit("the certificate names no party")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise CertificateUnfit("the certificate is not for a client")
    facts = CertificateFacts(
        party=party,
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
    return facts, certificate


def _check_signer(certificate: x509.Certificate, ca_pem: bytes) -> None:
    try:
        authorities = x509.load_pem_x509_certificates(ca_pem)
    except ValueError:
        raise CertificateUnfit("there is no CA certificate in what the server sent") from None
    issuers = [each for each in authorities if each.subject == certificate.issuer]
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    if issuers:
        raise CertificateUnfit("the certificate was not signed by the server's CA")


def _read_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateUnfit("the key is damaged") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateUnfit("the key is not an elliptic-curve key")
    return key


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
