"""Has the kernel send a workload's connections to its neighbours to one listener of the agent.

Speaks netlink itself: no program for it need be installed, where the agent is or in a sidecar.
Acts on the network namespace in which the calling thread is.

The namespace gets one table. A connection to a declared port of a neighbour's address goes to
the listener; every other to such an address is reset, although the workload itself may listen on
that port at all of its addresses.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from typing import NamedTuple

TABLE = b"fedflow"

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = 0, 2, 3, 6
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_IPV4 = 2
_OUTPUT_HOOK = 3
_DSTNAT_PRIORITY, _FILTER_PRIORITY = -100, 0
_NETWORK, _TRANSPORT = 1, 2
_L4PROTO = 16
_GREATER_OR_EQUAL, _LESS_OR_EQUAL, _EQUAL = 5, 3, 0
_DNAT = 1
_TCP_RESET = 1
_SO_SNDBUFFORCE = 32
_ANSWER_BYTES = 65536
_ANSWER_TIMEOUT_S = 10.0
_BACKLOG = 4096
# What a kernel without a part of nf_tables answers.
_MISSING = (
    errno.ENOENT,
    errno.EOPNOTSUPP,
    errno.EPROTONOSUPPORT,
    errno.EAFNOSUPPORT,
    errno.ENOPROTOOPT,
)


class Missing(OSError):
    """The kernel has no nf_tables, or lacks the part of it that changes destinations."""


class Redirect(NamedTuple):
    """Connections to addresses and ports, first to last, both included; numbers in host order."""

    first_address: int
    last_address: int
    first_port: int
    last_port: int


def listen(address: str, ports: list[int]) -> socket.socket:
    """Return a listener at the first of these ports that is free, not blocking.

    Raises:
        OSError: none is.
    """
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003  the socket's own signature
        except OSError as problem:
            listener.close()
            if problem.errno != errno.EADDRINUSE:
                raise
        else:
            return listener
    raise OSError(errno.EADDRINUSE, "the workload listens on every port that the agent could use")


def install(redirects: list[Redirect], fences: list[tuple[int, int]], to: tuple[str, int]) -> None:
    """Put a table that sends `redirects` to the listener in the place of an earlier one, at once.

    `fences` are ranges of addresses at which nothing but the redirects is reached.

    Raises:
        Missing: this kernel can't.
        OSError: it refused, for lack of rights as a rule.
    """
    _send(_batch(redirects, fences, to))


def _batch(
    redirects: list[Redirect], fences: list[tuple[int, int]], to: tuple[str, int]
) -> list[bytes]:
    table = _text(1, TABLE)
    # Made so that there is one to remove: that of an earlier agent, or this one.
    parts = [
        _message(_NEWTABLE, table, flags=_CREATE),
        _message(_DELTABLE, table),
        _message(_NEWTABLE, table, flags=_CREATE),
        _chain(b"redirect", b"nat", _DSTNAT_PRIORITY),
        _chain(b"fence", b"filter", _FILTER_PRIORITY),
    ]
    listener = (
        _immediate(1, socket.inet_aton(to[0])),
        _immediate(2, struct.pack("!H", to[1])),
        _expression(
            b"nat",
            *(_number(1, _DNAT), _number(2, _IPV4)),
            *(_number(3, 1), _number(4, 1), _number(5, 2), _number(6, 2)),
        ),
    )
    for each in redirects:
        addresses = _to_addresses(each.first_address, each.last_address)
        ports = _to_ports(each.first_port, each.last_port)
        parts += [_rule(b"redirect", *addresses, *ports, *listener)]
    # What was redirected has another address when it comes to the fence.
    reset = _expression(b"reject", _number(1, _TCP_RESET), _attribute(2, b"\0"))
    for first, last in fences:
        parts += [_rule(b"fence", *_to_addresses(first, last), *_is_tcp(), reset)]
    return parts


def _chain(name: bytes, kind: bytes, priority: int) -> bytes:
    hook = _attribute(1, struct.pack("!I", _OUTPUT_HOOK)) + _attribute(
        2, struct.pack("!i", priority)
    )
    return _message(
        _NEWCHAIN,
        _text(1, TABLE) + _text(3, name) + _attribute(4 | _NESTED, hook) + _text(7, kind),
        flags=_CREATE,
    )


def _rule(chain: bytes, *expressions: bytes) -> bytes:
    body = _text(1, TABLE) + _text(2, chain) + _attribute(4 | _NESTED, b"".join(expressions))
    return _message(_NEWRULE, body, flags=_CREATE | _APPEND)


def _to_addresses(first: int, last: int) -> tuple[bytes, ...]:
    load = _expression(
        b"payload", _number(1, 1), _number(2, _NETWORK), _number(3, 16), _number(4, 4)
    )
    return (load, *_between(struct.pack("!I", first), struct.pack("!I", last)))


def _is_tcp() -> tuple[bytes, ...]:
    load = _expression(b"meta", _number(1, 1), _number(2, _L4PROTO))
    return (load, _compare(_EQUAL, bytes([socket.IPPROTO_TCP])))


def _to_ports(first: int, last: int) -> tuple[bytes, ...]:
    load = _expression(
        b"payload", _number(1, 1), _number(2, _TRANSPORT), _number(3, 2), _number(4, 2)
    )
    return (*_is_tcp(), load, *_between(struct.pack("!H", first), struct.pack("!H", last)))


def _between(first: bytes, last: bytes) -> tuple[bytes, ...]:
    if first == last:
        return (_compare(_EQUAL, first),)
    return _compare(_GREATER_OR_EQUAL, first), _compare(_LESS_OR_EQUAL, last)


def _compare(operator: int, value: bytes) -> bytes:
    data = _attribute(3 | _NESTED, _attribute(1, value))
    return _expression(b"cmp", _number(1, 1), _number(2, operator), data)


def _immediate(register: int, value: bytes) -> bytes:
    data = _attribute(2 | _NESTED, _attribute(1, value))
    return _expression(b"immediate", _number(1, register), data)


def _expression(name: bytes, *attributes: bytes) -> bytes:
    body = _text(1, name) + _attribute(2 | _NESTED, b"".join(attributes))
    return _attribute(1 | _NESTED, body)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _text(kind: int, value: bytes) -> bytes:
    return _attribute(kind, value + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _message(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    """Return a message without its header's sequence number: type, flags and body."""
    return struct.pack("=HH", (_SUBSYSTEM << 8) | kind, _REQUEST | flags) + (
        struct.pack("=BBH", _IPV4, 0, 0) + body
    )


def _send(parts: list[bytes]) -> None:
    mark = struct.pack("=BBH", 0, 0, socket.htons(_SUBSYSTEM))
    framed = [
        struct.pack("=HH", _BATCH_BEGIN, _REQUEST) + mark,
        *parts[:-1],
        # The last one is answered for all of them, as far as they went well.
        _with_ack(parts[-1]),
        struct.pack("=HH", _BATCH_END, _REQUEST) + mark,
    ]
    whole = b"".join(
        struct.pack("=I", 12 + len(part)) + part[:4] + struct.pack("=II", number, 0) + part[4:]
        for number, part in enumerate(framed)
    )
    try:
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    except OSError as problem:
        raise _explained(problem.errno or 0) from problem
    with netlink:
        # One batch is one packet, and a large run's is larger than the usual buffer.
        # In a user namespace older kernels don't allow it, and small runs need it not.
        with contextlib.suppress(PermissionError):
            netlink.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(whole) + _ANSWER_BYTES)
        netlink.settimeout(_ANSWER_TIMEOUT_S)
        netlink.bind((0, 0))
        netlink.send(whole)
        _understand(netlink.recv(_ANSWER_BYTES))


def _with_ack(part: bytes) -> bytes:
    kind, flags = struct.unpack_from("=HH", part)
    return struct.pack("=HH", kind, flags | _ACK) + part[4:]


def _understand(answer: bytes) -> None:
    at = 0
    while at + _HEADER.size <= len(answer):
        length, kind, _, _, _ = _HEADER.unpack_from(answer, at)
        if kind == _ERROR:
            (code,) = struct.unpack_from("=i", answer, at + _HEADER.size)
            if code:
                raise _explained(-code)
        at += max(_HEADER.size, (length + 3) & ~3)


def _explained(code: int) -> OSError:
    kind = Missing if code in _MISSING else OSError
    return kind(code, "nf_tables: " + os.strerror(code))
