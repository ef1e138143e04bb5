"""Reading a party's certificate: whose it is, by which serial number, and until when."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flow_contract.errors import InvalidArgument, Kind
from flow_contract.ids import is_party_id

_SCHEME = "fedflow://party/"


@dataclass(frozen=True, kw_only=True)
class PartyIdentity:
    """What a certificate says. `serial` is lower-case hex."""

    federated_id: str
    serial: str
    not_after: datetime


def party_uri(federated_id: str) -> str:
    """Return the name of a party in its certificate."""
    return _SCHEME + federated_id


def server_names(certificate_pem: bytes) -> list[str]:
    """Return the DNS names and IP addresses of a server's certificate.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        names = (
            x509.load_pem_x509_certificate(certificate_pem)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise InvalidArgument(
            "server.pem: not a server's certificate; restore it from a copy",
            kind=Kind.SERVER,
            field="pki_dir",
        ) from None
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def read_identity(certificate_pem: bytes) -> PartyIdentity | None:
    """Return whom the certificate names; None for one that was not made for a party.

    That it was signed by our authority and is within its time is the handshake's to check.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        uris = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.UniformResourceIdentifier)
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return None
    if list(purposes) != [ExtendedKeyUsageOID.CLIENT_AUTH] or len(uris) != 1 or len(names) != 1:
        return None
    federated_id = uris[0].removeprefix(_SCHEME)
    if names[0].value != federated_id or uris[0] != party_uri(federated_id):
        return None
    if not is_party_id(federated_id):
        return None
    return PartyIdentity(
        federated_id=federated_id,
        serial=f"{certificate.serial_number:x}",
        not_after=certificate.not_valid_after_utc,
    )
