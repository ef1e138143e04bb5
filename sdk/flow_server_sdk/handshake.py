"""Why a server can't be spoken to: gRPC says no more than that it can't, a handshake does."""

import contextlib
import socket
import ssl

from flow_server_sdk.credentials import Credentials

TIMEOUT_S = 3.0
_CHUNK_BYTES = 16_384

# OpenSSL's verification results, X509_V_ERR_…, as <openssl/x509_vfy.h> numbers them.
_EXPIRED = 10
_NOT_YET = 9
_HOSTNAME = {62, 64}


def problem(address: str, how: Credentials) -> str:
    """Return a sentence on what is wrong between `address` and `how`, "" if nothing is seen.

    Blocks for a few seconds at most, and sends nothing secret.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
            return _mismatch(connection, host, how)
    except OSError:
        return ""


def _mismatch(connection: socket.socket, host: str, how: Credentials) -> str:
    try:
        _shake_hands(connection, _context(how), host)
    except ssl.SSLCertVerificationError as error:
        return _distrust(error, host, how) if how.uses_tls else ""
    except OSError:
        # No handshake: it closed, was silent, or answered in something else.
        return _NOT_TLS if how.uses_tls else ""
    return "" if how.uses_tls else _IS_TLS


def _shake_hands(connection: socket.socket, context: ssl.SSLContext, host: str) -> None:
    # Over buffers: a socket that is wrapped just as its peer goes is left open by Python 3.11.
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = context.wrap_bio(received, to_send, server_hostname=host)
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            connection.sendall(to_send.read())
            if data := connection.recv(_CHUNK_BYTES):
                received.write(data)
            else:
                received.write_eof()
        else:
            return


_NOT_TLS = (
    "it does not speak TLS, and a token is sent over TLS only: if it runs with --insecure, call "
    "it on this machine without token and CA ('fedflow logout', unset FEDFLOW_TOKEN, "
    "FEDFLOW_TOKEN_FILE and FEDFLOW_CA)"
)
_IS_TLS = (
    "it speaks TLS, and neither CA nor token is known here: run 'fedflow login', or give ca=… "
    "and token=…"
)


def _context(how: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(
        cadata=None if how.ca_pem is None else how.ca_pem.decode("ascii", "replace")
    )
    context.set_alpn_protocols(["h2"])
    if not how.uses_tls:
        # Whether it speaks TLS at all is the question then.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _distrust(error: ssl.SSLCertVerificationError, host: str, how: Credentials) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; its operator runs 'fedflow server init --renew'"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet; check this machine's clock and the server's"
    if error.verify_code in _HOSTNAME:
        return (
            f"its certificate is not for {host}; call it by a name that it is for, or its operator "
            f"runs 'fedflow server init --renew --name {host}'"
        )
    if how.ca_pem is None:
        return "its certificate is by an authority unknown here; give the server's ca.pem as ca=…"
    return "its certificate is not by the CA that was given; ask its operator for the right ca.pem"


def check_ca(ca_pem: bytes) -> None:
    """Accept a CA file. Raises ValueError: there is no certificate in it."""
    with contextlib.suppress(ssl.SSLError, UnicodeDecodeError, ValueError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca_pem.decode("ascii"))
        return
    raise ValueError("ca: there is no certificate in this file; it must be PEM")
