"""Starts a flow server that asks who calls, with a throw-away authority and a first admin."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from tests.certificates import make_pki

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs: where, by what it is known, and the first admin's token."""

    flow: FlowServer
    address: str
    ca: Path
    admin_token: str


@contextlib.asynccontextmanager
async def secure_server(database_url, folder, **settings):
    """Serve until the block ends, on a pki directory in `folder`."""
    pki = make_pki(folder)
    flow = FlowServer(
        ServerSettings(
            port=0,
            agents_port=0,
            http_port=0,
            database_url=database_url,
            shutdown_grace_s=0,
            pki_dir=pki.path,
            **settings,
        )
    )
    await flow.start()
    try:
        yield Served(
            flow=flow,
            address=flow.grpc_address,
            ca=pki.ca_certificate,
            admin_token=pki.admin_token.read_text().strip(),
        )
    finally:
        await flow.aclose()


def write_certificate(folder, host, *, days=1):
    """Write server.pem, which is its own authority, and server.key; `days` < 0 is expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flow server of a test")])
    now = datetime.now(UTC)
    try:
        named = x509.IPAddress(ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
