"""Who the caller is by the certificate that the handshake checked."""

from collections.abc import Iterable, Mapping

from flow_server.pki.identities import PartyIdentity, read_identity

_PEM = "x509_pem_cert"


def party_of(auth_context: Mapping[str, Iterable[bytes]]) -> PartyIdentity | None:
    """Return the party whose certificate the connection showed, None if it showed none.

    Only the agents' port asks for a certificate, so there is one there and nowhere else. One that
    our authority signed for something else than a party counts as none.
    """
    shown = list(auth_context.get(_PEM, ()))
    return read_identity(shown[0]) if shown else None


def caller_from_certificate(auth_context: Mapping[str, Iterable[bytes]]) -> tuple[str, str] | None:
    """Return (federated_id, serial) of the connection's certificate, None if it showed none."""
    identity = party_of(auth_context)
    return None if identity is None else (identity.federated_id, identity.serial)
