"""What goes over the wire between two agents: TLS 1.3, or plain bytes without identities.

TLS works on buffers, not on the socket: one call seals a whole read, and what came is
opened as far as it goes, so that who pumps decides alone when to read and when to wait.
"""

import ssl
from typing import Protocol, cast

# Of one read from a socket; what was sealed is a little more.
READ_BYTES = 512 * 1024
# A record that was half there before, and the slack of a whole one.
_RECORD_BYTES = 17 * 1024


class WireEnded(Exception):
    """The other side has closed the wire, in the middle or at the end of what it said."""


class Scratch:
    """Buffers that all pumps of one thread share: what is in them is used up before they return."""

    def __init__(self) -> None:
        self.outgoing = memoryview(bytearray(READ_BYTES))
        self.incoming = memoryview(bytearray(READ_BYTES))
        self.opened = memoryview(bytearray(READ_BYTES + 2 * _RECORD_BYTES))


class Seal(Protocol):
    """Seals what is sent and opens what comes. Raises ssl.SSLError where TLS is broken."""

    def seal(self, data: memoryview) -> bytes:
        """Return what has to be sent for `data`."""

    def unseal(self, data: memoryview, scratch: Scratch) -> memoryview:
        """Return what came with it, READ_BYTES at most; good until `scratch` is used again.

        Raises:
            WireEnded: the other side has said that nothing more comes.
        """


class NoSeal:
    """Bytes as they are, between agents on one machine."""

    def seal(self, data: memoryview) -> bytes:
        """Return a copy: the buffer is somebody else's next."""
        return bytes(data)

    def unseal(self, data: memoryview, scratch: Scratch) -> memoryview:  # noqa: ARG002  as it is
        """Return the data."""
        return data


class TlsSeal:
    """One TLS connection without its socket."""

    def __init__(self, context: ssl.SSLContext, *, is_server: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_server)

    def shake_hands(self, data: bytes) -> tuple[bytes, bool]:
        """Take what came; return what has to be sent, and whether the handshake is over.

        Raises:
            ssl.SSLError: it failed.
        """
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read(), False
        return self._outgoing.read(), True

    def farewell(self) -> bytes:
        """Return what tells the other side why, after a handshake that failed."""
        return self._outgoing.read()

    @property
    def peer_certificate(self) -> bytes | None:
        """What the other side has shown, DER."""
        return self._tls.getpeercert(binary_form=True)

    def seal(self, data: memoryview) -> bytes:
        """Return the records for `data`."""
        self._tls.write(data)
        return self._outgoing.read()

    def unseal(self, data: memoryview, scratch: Scratch) -> memoryview:
        """Return what is in the records that are complete."""
        if len(data):
            self._incoming.write(data)
        opened, end = scratch.opened, 0
        try:
            # Into a buffer it returns how much, which its stub does not know.
            while count := cast(int, self._tls.read(len(opened) - end, opened[end:])):
                end += count
                if not (self._incoming.pending or self._tls.pending()):
                    # To be told so by an exception would cost each short message one.
                    return opened[:end]
        except ssl.SSLWantReadError:
            return opened[:end]
        except ssl.SSLZeroReturnError:
            pass
        if end:
            return opened[:end]
        raise WireEnded
