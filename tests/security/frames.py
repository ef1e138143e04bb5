"""HTTP/2 by hand: what no gRPC client would send, over TLS or without."""

import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
ACK = END_STREAM = 1
END_HEADERS = 4
GRPC_MESSAGE_HEAD = 5


def frame(kind, payload=b"", *, flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    """A literal without indexing and without compression."""
    return b"\x00" + _text(name) + _text(value)


def _text(text):
    raw = text.encode() if isinstance(text, str) else text
    return _integer(len(raw)) + raw


def _integer(number):
    if number < 127:
        return bytes([number])
    number -= 127
    out = bytearray([127])
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def call_headers(path, *more):
    """The header block of a gRPC call."""
    usual = (
        (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "localhost"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )  # fmt: skip
    return b"".join(header(name, value) for name, value in (*usual, *more))


def call(path, message=b"", *, stream=1, more=()):
    """A whole call with one message."""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return frame(HEADERS, call_headers(path, *more), flags=END_HEADERS, stream=stream) + frame(
        DATA, body, flags=END_STREAM, stream=stream
    )


def opening():
    return PREFACE + frame(SETTINGS)


def dial(address, *, ca_pem=None, timeout_s=30):
    """Return a connected socket, after a TLS handshake where a CA is given."""
    host, port = address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout=timeout_s)
    if ca_pem is None:
        return plain
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname="localhost")


def read_until_closed(connection):
    """Return what comes until the other end closes. Raises TimeoutError if it never does."""
    got = bytearray()
    try:
        while data := connection.recv(65_536):
            got += data
    except (ConnectionError, ssl.SSLError):
        pass
    return bytes(got)


def frames_in(data):
    """Yield (kind, flags, stream, payload) of every whole frame."""
    while len(data) >= 9:
        length = int.from_bytes(data[:3])
        yield data[3], data[4], int.from_bytes(data[5:9]) & 0x7FFFFFFF, data[9 : 9 + length]
        data = data[9 + length :]
