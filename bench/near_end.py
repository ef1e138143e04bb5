"""The near end of a connection to `bench.far_end`, whatever lies between."""

import socket
import time

from bench.far_end import ECHO, HEAD, TAKE
from bench.processes import BenchError

_BYTES = 1024**2
_PATIENCE_S = 120.0

Address = tuple[str, int]


def transfer_s(address: Address, count: int) -> float:
    """Send so many bytes; return the seconds from the dial until the far end has them all."""
    data = memoryview(bytes(_BYTES))
    began_s = time.perf_counter()
    with _dialled(address) as connection:
        connection.sendall(HEAD.pack(TAKE, count))
        left = count
        while left:
            left -= connection.send(data[: min(left, _BYTES)])
        _received(connection, 1)
        return time.perf_counter() - began_s


def round_trips_s(address: Address, times: int, size: int) -> list[float]:
    """Return the seconds of so many round trips of `size` bytes over one connection."""
    message = bytes(size)
    took_s = []
    with _dialled(address) as connection:
        connection.sendall(HEAD.pack(ECHO, times * size))
        for _ in range(times):
            began_s = time.perf_counter()
            connection.sendall(message)
            _received(connection, size)
            took_s.append(time.perf_counter() - began_s)
    return took_s


def await_far_end(address: Address) -> None:
    """Return once the far end answers through whatever lies between.

    Raises:
        BenchError: it does not in two minutes.
    """
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            round_trips_s(address, 1, 1)
        except (OSError, BenchError) as error:
            if time.monotonic() > deadline_s:
                raise BenchError(f"nobody answers at {address}: {error}") from error
            # Nothing tells when somebody listens but trying.
            time.sleep(0.1)
        else:
            return


def _dialled(address: Address) -> socket.socket:
    connection = socket.create_connection(address, timeout=_PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _received(connection: socket.socket, count: int) -> None:
    while count:
        data = connection.recv(count)
        if not data:
            raise BenchError("the connection ended too early")
        count -= len(data)
