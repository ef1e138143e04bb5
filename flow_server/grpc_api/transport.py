"""How the two ports are secured, and what one connection may ask of them.

The server's certificate is shown at both, the party's asked for at one.
"""

from dataclasses import dataclass

import grpc

from flow_server.pki.reload import Pair, ServerCertificate


@dataclass(frozen=True, kw_only=True)
class Security:
    """The server's certificate, and by whom agents' must be signed. `party_ca_pem` is PEM."""

    certificate: ServerCertificate
    party_ca_pem: bytes


@dataclass(frozen=True, kw_only=True)
class TransportLimits:
    """What one connection may ask for, kept below Python but for the request's time."""

    max_message_bytes: int
    max_metadata_bytes: int
    max_streams_per_connection: int
    max_connections: int
    handshake_timeout_s: float
    connection_idle_s: float
    request_timeout_s: float


def options_of(limits: TransportLimits) -> tuple[tuple[str, int], ...]:
    """Return them as gRPC's C core names them."""
    return (
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        # Between the soft one and the absolute one the core refuses by chance.
        ("grpc.max_metadata_size", limits.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes),
        ("grpc.max_concurrent_streams", limits.max_streams_per_connection),
        # Of each port.
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        # TCP, TLS and HTTP/2's first frames.
        ("grpc.server_handshake_timeout_ms", round(limits.handshake_timeout_s * 1000)),
        # An agent and a wait are calls, so their connections are never idle.
        ("grpc.max_connection_idle_ms", round(limits.connection_idle_s * 1000)),
    )


def users_credentials(security: Security) -> grpc.ServerCredentials:
    """Return TLS without a client's certificate."""
    return _credentials(security.certificate, client_ca_pem=None)


def agents_credentials(security: Security) -> grpc.ServerCredentials:
    """Return TLS that ends at the handshake without a certificate by our authority."""
    return _credentials(security.certificate, client_ca_pem=security.party_ca_pem)


def _credentials(
    certificate: ServerCertificate, *, client_ca_pem: bytes | None
) -> grpc.ServerCredentials:
    given = certificate.present

    def configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(pair.key_pem, pair.certificate_pem)], root_certificates=client_ca_pem
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Asked at every handshake, on a thread of gRPC's; each port gets its own copy.
        nonlocal given
        certificate.look_again()
        if certificate.present is given:
            return None
        given = certificate.present
        return configuration(given)

    return grpc.dynamic_ssl_server_credentials(
        configuration(given),
        fetch,  # type: ignore[arg-type]  # None means "as before"
        require_client_authentication=client_ca_pem is not None,
    )
