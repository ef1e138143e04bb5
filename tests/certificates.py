"""Keys, requests and pki directories for tests, made by the server's own code where it can."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from flow_contract.secrets import ID_BYTES, SECRET_BYTES, make_secret
from flow_server.pki.authority import Authority, make_ca
from flow_server.pki.files import pki_in, write_new
from flow_server.pki.identities import party_uri
from flow_server.pki.requests import read_request

NAMES = ("localhost", "127.0.0.1", "::1")


def now():
    return datetime.now(UTC)


def make_pki(state_dir, *, names=NAMES, at=None):
    """Make a pki directory as `fedflow server init` does; `at` is when that was."""
    at = at or now()
    ca = make_ca(now=at, label=secrets.token_hex(4))
    server = Authority(ca.certificate_pem, ca.key_pem).sign_server(names, now=at)
    pki = pki_in(state_dir)
    admin = make_secret(secrets.token_bytes(SECRET_BYTES + ID_BYTES))
    write_new(pki, ca=ca, server=server, admin=admin)
    return pki


def authority_of(pki):
    return Authority(pki.ca_certificate.read_bytes(), pki.ca_key.read_bytes())


def make_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def request_pem(key, *, subject="whatever it says"):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)] if subject else [])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Proof:
    """A key with its certificate, and by what its holder knows the server, all PEM."""

    key_pem: bytes
    certificate_pem: bytes
    ca_pem: bytes

    @property
    def credentials(self):
        return grpc.ssl_channel_credentials(self.ca_pem, self.key_pem, self.certificate_pem)


def sign_by_hand(pki, federated_id, *, at=None, days=90.0):
    """Return (proof, certificate) that the authority signed and no server knows of."""
    key = make_key()
    signed = authority_of(pki).sign_party(
        read_request(request_pem(key)), federated_id=federated_id, now=at or now(), days=days
    )
    proof = Proof(key_pem(key), signed.certificate_pem, pki.ca_certificate.read_bytes())
    return proof, signed


def server_proof(pki):
    """Return the server's own certificate as if it were a client's."""
    return Proof(
        pki.server_key.read_bytes(),
        pki.server_certificate.read_bytes(),
        pki.ca_certificate.read_bytes(),
    )


LONG_AGO = timedelta(days=500)


def sign_with(proof, key, federated_id):
    """Return a party's certificate for `key`, signed by a proof's own key as if it were a CA's."""
    issuer = x509.load_pem_x509_certificate(proof.certificate_pem)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, federated_id)])
    uri = x509.UniformResourceIdentifier(party_uri(federated_id))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(serialization.load_pem_private_key(proof.key_pem, None), hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
