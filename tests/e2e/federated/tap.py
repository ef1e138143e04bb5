"""Hears what passes in a namespace, as somebody would who has the machine of the relay."""

import subprocess
import sys
from collections import defaultdict

_HEAR = """
import os, socket, sys, threading
hear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
hear.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
hear.settimeout(0.2)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
print("hears", flush=True)
with open(sys.argv[1], "wb") as out:
    while True:
        try:
            packet = hear.recv(1 << 17)
        except TimeoutError:
            if ended.is_set():
                break
            continue
        out.write(len(packet).to_bytes(4, "big") + packet)
"""
_TCP, _SYN = 6, 2


class Tap:
    """Hears everything while the block runs."""

    def __init__(self, network, namespace, path):
        self._command = [*network.within(namespace), sys.executable, "-c", _HEAR, str(path)]
        self._path = path

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "hears\n"
        return self

    def __exit__(self, *_):
        self._process.communicate()

    @property
    def heard(self):
        """All that passed, as it was on the wire."""
        return self._path.read_bytes()

    def said_to(self, port):
        """Return what was said on each connection to this port, from its beginning."""
        pieces, begins = defaultdict(dict), {}
        for source, target, number, flags, data in self._segments():
            if target == port:
                if flags & _SYN:
                    begins[source] = number + 1
                elif data:
                    pieces[source][number] = data
        return [
            _joined(begin, pieces[source]) for source, begin in begins.items() if pieces[source]
        ]

    def _segments(self):
        heard, at = self.heard, 0
        while at < len(heard):
            size = int.from_bytes(heard[at : at + 4], "big")
            packet = heard[at + 4 : at + 4 + size]
            at += 4 + size
            if packet[0] >> 4 != 4 or packet[9] != _TCP:
                continue
            segment = packet[4 * (packet[0] & 15) : int.from_bytes(packet[2:4], "big") or size]
            source, target = (int.from_bytes(segment[i : i + 2], "big") for i in (0, 2))
            number = int.from_bytes(segment[4:8], "big")
            yield (
                (packet[12:16], source),
                target,
                number,
                segment[13],
                segment[4 * (segment[12] >> 4) :],
            )


def _joined(begin, pieces):
    """Return the bytes in their order, up to the first gap."""
    data = b""
    for number, piece in sorted(pieces.items(), key=lambda item: (item[0] - begin) % 2**32):
        place = (number - begin) % 2**32
        if place > len(data):
            break
        data += piece[len(data) - place :]
    return data
