"""What runs at the sites: tells its log and its metrics, waits for its gate, says its end.

Run as `python -c THIS CODES TERM`, in containers and as a process: standard library only, and
little of it. What it tells is one endless sequence, the same for everybody who knows its key; what
it has told so far stands in /output, written after each piece, so that a kill at any moment leaves
one piece at most in doubt.
"""

# ruff: noqa: PTH110, PTH123, S311, UP031  fewer imports, and it starts sooner

import itertools
import json
import os
import random
import signal
import socket
import sys
import threading
import time

STDOUT, STDERR = 1, 2
# After the gate, for what is lost between the last words and the end.
LAST_PIECES = 30
LAST_BATCHES = 2
# Where how many pieces, or batches, were told stands, in ASCII.
PIECES, BATCHES = "told-pieces", "told-batches"
_PIECE_PAUSE_S = 0.004
_BATCH_PAUSE_S = 0.03
_AGAIN_S = 0.05
_ANSWER_S = 5


def pieces(key):
    """Yield (stream, bytes) for ever: short lines, long ones, lines in two halves, any bytes."""
    rng = random.Random("log:" + key)
    for number in itertools.count():
        stream = rng.choice((STDOUT, STDOUT, STDERR))
        head = b"%d:%d " % (stream, number)
        roll = rng.random()
        if roll < 0.02:
            yield stream, head + rng.randbytes(rng.randrange(60_000, 90_000)) + b"\n"
        elif roll < 0.03:
            # Longer than what an engine keeps in one piece.
            yield stream, head + b"-" * rng.randrange(16_300, 50_000) + b"\n"
        elif roll < 0.1:
            yield stream, head + rng.randbytes(rng.randrange(200)) + b"\r\n\n"
        elif roll < 0.2:
            yield stream, head + b"without an end "
        else:
            yield stream, head + b"x" * rng.randrange(120) + b"\n"


def batches(key):
    """Yield lists of (name, step, value) for ever."""
    rng = random.Random("metrics:" + key)
    step = 0
    while True:
        batch = []
        for _ in range(rng.randrange(1, 40)):
            step += 1
            batch.append((rng.choice(("loss", "accuracy")), step, rng.uniform(-1e6, 1e6)))
        yield batch


def main():
    """Run to the end that the arguments and the gate say."""
    codes, at_term = json.loads(sys.argv[1]), sys.argv[2]
    output = os.environ["FEDFLOW_OUTPUT_DIR"]
    with open(output + "/starts", "a") as file:
        file.write("%d\n" % os.getpid())

    def leave(code):
        with open(output + "/exit", "w") as file:
            file.write("%d\n" % code)
        os._exit(code)

    if at_term == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif at_term:
        signal.signal(signal.SIGTERM, lambda *_: leave(int(at_term)))
    key = os.environ["FEDFLOW_RUN_ID"] + "/" + os.environ["FEDFLOW_PARTY_ID"]
    gate = os.environ["FEDFLOW_DATA_DIR"] + "/" + os.environ["FEDFLOW_TASK_ID"]
    is_open = threading.Event()
    measuring = threading.Thread(target=measure, args=(key, output, is_open), daemon=True)
    measuring.start()
    say(key, output, lambda: os.path.exists(gate))
    is_open.set()
    # Its site's agent may be away: it has a moment, and what it leaves in doubt is one batch.
    measuring.join(0.3)
    leave(codes[os.environ["FEDFLOW_PARTY_ID"]])


def say(key, output, is_open):
    """Write pieces until it is open, and then the last ones."""
    told = os.open(output + "/" + PIECES, os.O_WRONLY | os.O_CREAT, 0o644)
    left = None
    for number, (stream, data) in enumerate(pieces(key), 1):
        written = 0
        while written < len(data):
            written += os.write(stream, data[written:])
        os.pwrite(told, b"%d" % number, 0)
        if left is None and is_open():
            left = LAST_PIECES
        elif left is None:
            time.sleep(_PIECE_PAUSE_S)
        elif left:
            left -= 1
        else:
            return


def measure(key, output, is_open):
    """Send batches, each until it is answered; some more once it is open."""
    told = os.open(output + "/" + BATCHES, os.O_WRONLY | os.O_CREAT, 0o644)
    left = LAST_BATCHES
    for number, batch in enumerate(batches(key), 1):
        points = [
            {"name": name, "step": step, "value": value, "time": step}
            for name, step, value in batch
        ]
        body = json.dumps({"points": points, "batch": "batch %d" % number}).encode()
        while not sent(body):
            time.sleep(_AGAIN_S)
        os.pwrite(told, b"%d" % number, 0)
        if not is_open.is_set():
            time.sleep(_BATCH_PAUSE_S)
        elif left:
            left -= 1
        else:
            return


def sent(body):
    """Post a batch; return whether the agent said that it has it."""
    head = b"POST /v1/metrics HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n"
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(_ANSWER_S)
            agent.connect(os.environ["FEDFLOW_API"])
            agent.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = b""
            while chunk := agent.recv(65536):
                answer += chunk
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


if __name__ == "__main__":
    main()
