"""Why there is no TLS connection: gRPC says no more than that there is none, a handshake does."""

import contextlib
import socket
import ssl
import tempfile
from pathlib import Path

TIMEOUT_S = 2.0

# OpenSSL's verification results, X509_V_ERR_…, as <openssl/x509_vfy.h> numbers them.
_NOT_YET_VALID = 9
_EXPIRED = 10
_NOT_THE_NAME = {62, 64}


def why_no_tls(
    address: str, *, ca_pem: bytes, key_pem: bytes = b"", certificate_pem: bytes = b""
) -> str:
    """Return in a sentence what keeps a client from `address`; "" if nothing is seen.

    With a key and certificate also whether the server takes them. Blocks for a few seconds at
    most; nothing secret leaves this machine.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        context = _context(ca_pem, key_pem, certificate_pem)
    except (ssl.SSLError, OSError):
        return "this site's own key, certificate or CA can't be used; enrol with --again"
    try:
        connection = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
    except OSError:
        # Nobody there, or no way there: gRPC's own words say that.
        return ""
    with connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as secured:
                return _refusal(secured) if certificate_pem else ""
        except ssl.SSLCertVerificationError as error:
            return _distrust(error, host)
        except ssl.SSLError as error:
            return _broken(error)
        except OSError:
            return "it closed the connection instead of speaking TLS; is the port right?"


def _context(ca_pem: bytes, key_pem: bytes, certificate_pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem.decode("ascii", "replace"))
    context.set_alpn_protocols(["h2"])
    if certificate_pem:
        # The library reads a pair from a file only; this one is nobody else's, and gone at once.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            Path(file.name).write_bytes(key_pem + certificate_pem)
            context.load_cert_chain(file.name)
    return context


def _refusal(secured: ssl.SSLSocket) -> str:
    """Say that the server did not take the certificate: its first word is then a refusal."""
    with contextlib.suppress(TimeoutError):
        try:
            if secured.recv(1) == b"":
                return _REFUSED
        except (ssl.SSLError, ConnectionError):
            return _REFUSED
    return ""


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code == _EXPIRED:
        return (
            "the server's certificate has expired; its operator runs 'fedflow server init --renew'"
        )
    if error.verify_code == _NOT_YET_VALID:
        return (
            "the server's certificate is not valid yet; check this machine's clock and the server's"
        )
    if error.verify_code in _NOT_THE_NAME:
        return (
            f"the server's certificate is not for {host}; dial it by a name that it is for, or its "
            f"operator runs 'fedflow server init --renew --name {host}'"
        )
    return (
        "the server's certificate is not by the CA that came with the enrolment token: it is "
        "another server, or somebody between here and there"
    )


def _broken(error: ssl.SSLError) -> str:
    if error.reason and "ALERT" in error.reason:
        return _REFUSED
    return "what answers there does not speak TLS; is the port right, or was it started --insecure?"


_REFUSED = (
    "the server refused this site's certificate in the handshake: it was signed by another CA "
    "than the server's, or has expired"
)
