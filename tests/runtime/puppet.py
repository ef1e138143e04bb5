"""A workload that does as a test tells it, and hands its sockets over to the test.

Runs in a container that has only Python, so it imports nothing of ours. Over a unix socket come
lines of JSON; each is answered by one, with a descriptor where one was asked for.
"""

import json
import os
import socket
import subprocess
from pathlib import Path


def connect(asked):
    stream = socket.socket()
    stream.settimeout(asked.get("timeout_s", 30))
    stream.connect((asked["host"], asked["port"]))
    stream.settimeout(None)
    return stream


def listen(asked):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((asked["host"], asked["port"]))
    listener.listen(1024)
    return listener


def look_up(asked):
    return sorted({each[4][0] for each in socket.getaddrinfo(asked["host"], asked["port"])})


def read(asked):
    return Path(asked["path"]).read_text()


def run(asked):
    done = subprocess.run(asked["command"], check=False, capture_output=True, text=True)
    return {"code": done.returncode, "output": done.stdout + done.stderr}


def hostname(asked):
    return socket.gethostname()


def python(asked):
    found = {}
    exec(asked["text"], found)  # noqa: S102  the test's own program
    return found.get("result")


DOES = {each.__name__: each for each in (connect, listen, look_up, read, run, hostname, python)}


def serve(master):
    for line in master.makefile("r"):
        asked = json.loads(line)
        handed = []
        try:
            done = DOES[asked["does"]](asked)
            answer = {"result": None if isinstance(done, socket.socket) else done}
            if isinstance(done, socket.socket):
                handed = [done]
        except OSError as problem:
            # A time-out has no number.
            answer = {"errno": problem.errno, "error": str(problem) or type(problem).__name__}
        answered = json.dumps(answer).encode() + b"\n"
        socket.send_fds(master, [answered], [each.fileno() for each in handed])
        for each in handed:
            each.close()


if __name__ == "__main__":
    api = Path(os.environ["FEDFLOW_API"])
    os.chdir(api.parent)
    with socket.socket(socket.AF_UNIX) as called:
        called.connect(api.name)
        serve(called)
