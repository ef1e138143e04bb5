"""Signing: our own certificate authority, the server's certificate, and each party's.

Nothing here reads a file or a clock; key material is random, all else follows from the arguments.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flow_contract.errors import InvalidArgument, Kind
from flow_server.pki.identities import party_uri
from flow_server.pki.requests import SigningRequest

CA_VALIDITY = timedelta(days=3650)
# What browsers and operating systems take at most.
SERVER_VALIDITY = timedelta(days=397)
# Clocks at sites run late; a certificate that isn't valid yet would be a riddle to them.
SKEW = timedelta(hours=1)

_MAX_COMMON_NAME = 64
_MAX_DNS_NAME = 253


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM. The key shows in no repr."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PartyCertificate:
    """A certificate that was just signed. `serial` is lower-case hex, `key_hash` SHA-256 in hex."""

    federated_id: str
    serial: str
    key_hash: str
    certificate_pem: bytes
    not_before: datetime
    not_after: datetime


def make_ca(*, now: datetime, label: str = "") -> KeyPair:
    """Return a new authority, good for ten years. `label` tells it from others, for people."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Fedflow CA {label}".strip())
    certificate = (
        _builder(name, name, key.public_key(), now=now, until=now + CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_subject_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate_pem=_pem(certificate), key_pem=_key_pem(key))


class Authority:
    """A certificate authority of ours that can sign."""

    def __init__(self, certificate_pem: bytes, key_pem: bytes) -> None:
        """Raises InvalidArgument if the two are no pair, or not what they should be."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            key = serialization.load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Not what the library says of it: that might quote the key.
            raise _unusable("ca.pem or ca.key is damaged or has a password") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise _unusable("ca.key is not an elliptic-curve key, as 'fedflow server init' makes")
        if key.public_key() != certificate.public_key():
            raise _unusable("ca.key is not the key of ca.pem")
        self.certificate_pem = certificate_pem
        self._certificate = certificate
        self._key = key

    def sign_server(self, names: Sequence[str], *, now: datetime) -> KeyPair:
        """Return a new key and certificate for a server that is reached under these names.

        Raises:
            InvalidArgument: a name is neither a DNS name nor an IP address.
        """
        alternatives = [_general_name(name) for name in names]
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _name(names[0][:_MAX_COMMON_NAME]),
            self._certificate.subject,
            key.public_key(),
            now=now,
            until=min(now + SERVER_VALIDITY, self._certificate.not_valid_after_utc),
        ).add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = self._sign_leaf(builder, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH)
        return KeyPair(certificate_pem=_pem(certificate), key_pem=_key_pem(key))

    def sign_party(
        self, request: SigningRequest, *, federated_id: str, now: datetime, days: float
    ) -> PartyCertificate:
        """Return a certificate that says "this key is that party's", and nothing else.

        Of the request only the key is used: whose it is, the caller knows and not the request.
        """
        not_after = min(now + timedelta(days=days), self._certificate.not_valid_after_utc)
        builder = _builder(
            _name(federated_id),
            self._certificate.subject,
            request.public_key,
            now=now,
            until=not_after,
        ).add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(party_uri(federated_id))]),
            critical=False,
        )
        certificate = self._sign_leaf(builder, request.public_key, ExtendedKeyUsageOID.CLIENT_AUTH)
        return PartyCertificate(
            federated_id=federated_id,
            serial=f"{certificate.serial_number:x}",
            key_hash=request.key_hash,
            certificate_pem=_pem(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        )

    def _sign_leaf(
        self,
        builder: x509.CertificateBuilder,
        public_key: CertificatePublicKeyTypes,
        purpose: x509.ObjectIdentifier,
    ) -> x509.Certificate:
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(_subject_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: CertificatePublicKeyTypes,
    *,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_key(
    public_key: CertificatePublicKeyTypes,
) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(public_key)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not is_dns_name(name):
        raise InvalidArgument(
            f"--name: {name[:80]!r} is neither a DNS name nor an IP address; write it without "
            "scheme and port",
            kind=Kind.SERVER,
            field="name",
        )
    return x509.DNSName(name)


def is_dns_name(name: str) -> bool:
    """Say whether a certificate can carry this as a DNS name."""
    labels = name.removeprefix("*.").split(".")
    return (
        name.isascii() and len(name) <= _MAX_DNS_NAME and all(_is_label(label) for label in labels)
    )


def _is_label(label: str) -> bool:
    return bool(label) and label.replace("-", "").replace("_", "").isalnum()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _unusable(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"{what}; restore the pki directory from a copy, or make a new one",
        kind=Kind.SERVER,
        field="pki_dir",
    )
