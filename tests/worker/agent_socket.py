"""A stand-in for the agent's end of the socket, to be run, killed and run again as a process.

    python agent_socket.py SOCKET LOG [ANSWERS]

Writes one JSON line per request to LOG before it answers: {"path", "body"}. ANSWERS is a JSON
object {path: [status, message]} of what is to be answered instead of 200. Prints one line once
it listens.
"""

import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[2], "a") as log:  # noqa: PTH123
            log.write(json.dumps({"path": self.path, "body": body}) + "\n")
        answers = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
        status, message = answers.get(self.path, (200, ""))
        answer = json.dumps({"error": {"field": "", "message": message}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    if os.path.exists(sys.argv[1]):  # noqa: PTH110
        os.unlink(sys.argv[1])  # noqa: PTH108
    with Server(sys.argv[1], Handler) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        server.serve_forever()
