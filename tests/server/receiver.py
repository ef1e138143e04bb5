"""A receiver of webhooks as a process of its own: python receiver.py FILE MODE…

Writes what came to FILE, one JSON line each, and its port first. The n-th request is answered as
the n-th mode says, the last one from then on: a status, or hang, reset, flood, drip.
"""

import json
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        mode = MODES.pop(0) if len(MODES) > 1 else MODES[0]
        with FILE.open("a") as file:
            line = {"headers": {k.lower(): v for k, v in self.headers.items()}}
            file.write(json.dumps({**line, "body": body.decode(), "path": self.path}) + "\n")
        if mode == "hang":
            time.sleep(600)
        elif mode == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        elif mode == "drip":
            for _ in range(600):
                self.wfile.write(b"H")
                time.sleep(0.1)
        else:
            self.send_response(200 if mode == "flood" else int(mode))
            self.send_header("location", "http://127.0.0.1:9/")
            self.end_headers()
            while mode == "flood":
                self.wfile.write(b"x" * 1_000_000)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    FILE, MODES = Path(sys.argv[1]), sys.argv[2:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    with FILE.open("a") as file:
        file.write(json.dumps({"port": server.server_port}) + "\n")
    server.serve_forever()
