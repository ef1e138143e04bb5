"""How the two ports are secured: the server's certificate at both, the party's at one."""

from dataclasses import dataclass

import grpc

from flow_server.pki.reload import Pair, ServerCertificate


@dataclass(frozen=True, kw_only=True)
class Security:
    """The server's certificate, and by whom agents' must be signed. `party_ca_pem` is PEM."""

    certificate: ServerCertificate
    party_ca_pem: bytes


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
