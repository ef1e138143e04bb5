"""A plain TCP client of serve.py. argv: what to do, host, port, how much of it."""

import hashlib
import os
import socket
import struct
import sys

WHAT, HOST, PORT, SIZE = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Nobody waits that long when all is well; who does is told from one who was reset.
BOUND_S = 240


def dialled(kind):
    connection = socket.create_connection((HOST, PORT), timeout=BOUND_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(kind)
    return connection


def rest(connection):
    pieces = []
    while data := connection.recv(65_536):
        pieces.append(data)
    return b"".join(pieces)


def half():
    data = os.urandom(SIZE)
    with dialled(b"h") as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = rest(connection).decode()
    assert answer == "%d %s" % (SIZE, hashlib.sha256(data).hexdigest()), answer
    print("answered after the end: %d" % len(answer))


def bytewise():
    with dialled(b"e") as connection:
        for number in range(SIZE):
            byte = bytes([number % 256])
            connection.sendall(byte)
            assert connection.recv(2) == byte
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""
    print("each byte came back")


def stream():
    digest, count, buffer = hashlib.sha256(), 0, bytearray(1 << 20)
    with dialled(b"s" + SIZE.to_bytes(8, "big")) as connection:
        while size := connection.recv_into(buffer):
            digest.update(memoryview(buffer)[:size])
            count += size
        connection.sendall(digest.hexdigest().encode())
        rest(connection)
    print("took %d" % count)


def hold():
    connections = [dialled(b"o" + number.to_bytes(4, "big")) for number in range(SIZE)]
    for number, connection in enumerate(connections):
        assert connection.recv(5) == number.to_bytes(4, "big")
    for connection in connections:
        connection.close()
    print("all answered")


def be_broken():
    with dialled(b"b") as connection:
        connection.sendall(b"hello")
        try:
            print("heard %r" % connection.recv(1))
        except ConnectionResetError:
            print("was reset")


def break_off():
    with dialled(b"w") as connection:
        connection.sendall(b"hello")
        assert connection.recv(5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Who ends too early lets the server be stopped before it has seen it.
    with dialled(b"?") as connection:
        assert connection.recv(1) == b"!"
    print("has reset")


{
    "half": half, "bytewise": bytewise, "stream": stream, "hold": hold,
    "be_broken": be_broken, "break_off": break_off,
}[WHAT]()  # fmt: skip
