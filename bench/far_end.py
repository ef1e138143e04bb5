"""A program at the far end of a connection: takes bytes, or sends each back. Arguments: host, port.

Standard library only: it runs as a workload. A connection begins with one letter and a count of 8
bytes: T takes so many bytes and then says so by one, E sends back so many bytes as they come.
"""

import socket
import struct
import sys
import threading

HEAD = struct.Struct(">cQ")
TAKE, ECHO = b"T", b"E"
_BYTES = 1024**2


def serve(connection: socket.socket) -> None:
    """Do what the connection's first bytes say; a connection that says nothing is closed."""
    room = memoryview(bytearray(_BYTES))
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        while len(head) < HEAD.size:
            data = connection.recv(HEAD.size - len(head))
            if not data:
                return
            head += data
        kind, left = HEAD.unpack(head)
        while left and (count := connection.recv_into(room[: min(left, _BYTES)])):
            if kind == ECHO:
                connection.sendall(room[:count])
            left -= count
        if kind == TAKE:
            connection.sendall(b".")


def main() -> None:
    """Serve for ever, a thread per connection."""
    host, port = sys.argv[1:]
    with socket.create_server((host, int(port)), backlog=128) as listening:
        print(f"{host} {port}", flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
