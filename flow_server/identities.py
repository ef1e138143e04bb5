"""What a server is known by and signs with, read from its files at the start."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from flow_contract.errors import InvalidArgument, Kind
from flow_server.grpc_api.transport import Security
from flow_server.pki.files import PkiDirectory, pki_in, read_authority, read_ca, read_public
from flow_server.pki.reload import ServerCertificate
from flow_server.services.enrolments import Identities
from flow_server.settings import ServerSettings
from flow_server.storage.pg_account import default_state_dir

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, kw_only=True)
class Material:
    """For the ports, and for those who enrol."""

    security: Security
    identities: Identities


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


def open_material(settings: ServerSettings) -> Material:
    """Read the pki directory and, where one is given, the operator's own certificate.

    Raises:
        InvalidArgument: something is missing, damaged, or open to others; the text says what to do.
    """
    pki = _directory(settings)
    party_ca_pem = read_ca(pki)
    known_by_pem = party_ca_pem if settings.tls_ca is None else read_public(settings.tls_ca)
    return Material(
        security=Security(
            certificate=ServerCertificate(
                settings.tls_cert or pki.server_certificate, settings.tls_key or pki.server_key
            ),
            party_ca_pem=party_ca_pem,
        ),
        identities=Identities(
            authority=read_authority(pki),
            known_by_pem=known_by_pem,
            known_by_der=_first_der(known_by_pem),
            # Parties know each other by it.
            signed_by_pem=b"" if known_by_pem == party_ca_pem else party_ca_pem,
            certificate_days=settings.party_certificate_days,
            now=utc_now,
        ),
    )


def _directory(settings: ServerSettings) -> PkiDirectory:
    if settings.pki_dir is not None:
        return PkiDirectory(path=settings.pki_dir)
    return pki_in(settings.state_dir or default_state_dir())


def _first_der(pem: bytes) -> bytes:
    text = pem.decode("ascii", "replace")
    begin, end = text.find(_BEGIN), text.find(_END)
    try:
        return ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)])
    except ValueError:
        raise InvalidArgument(
            "--tls-ca: there is no certificate in this file; it must be PEM",
            kind=Kind.SERVER,
            field="tls_ca",
        ) from None
