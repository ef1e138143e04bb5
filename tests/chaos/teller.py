"""What runs at the sites: tells log, metrics and outputs, waits for its gate, says its end.

Run as `python -c THIS CODES TERM LARGE`, in containers and as a process: standard library only, and
little of it. What it tells are endless sequences, the same for everybody who knows its key; what
it has told so far stands in /output, written after each piece, so that a kill at any moment leaves
one piece of each at most in doubt.
"""

# ruff: noqa: PTH103, PTH110, PTH118, PTH120, PTH123, S311, UP031  fewer imports, and it starts sooner

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
LAST_OUTPUTS = 3
# Where how many pieces, batches, or outputs were told stands, in ASCII.
PIECES, BATCHES, OUTPUTS = "told-pieces", "told-batches", "told-outputs"
# How a file leaves: with its directory at the end, over the socket at once, or by both.
LEFT, SENT, BOTH = "left", "sent", "both"
# Three parts of what a server stores in one.
LARGE_BYTES = 2 * 8 * 1024**2 + 4_321
_NAMES = 12
_PIECE_PAUSE_S = 0.004
_BATCH_PAUSE_S = 0.03
_OUTPUT_PAUSE_S = 0.06
_AGAIN_S = 0.05
# Shorter than most faults: what is asked again may already have been heard.
_ANSWER_S, _LARGE_ANSWER_S = 0.5, 5


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


def outputs(key, large):
    """Yield (way, name, bytes) for ever; names come again, with other bytes.

    The second one is large if `large` names a way.
    """
    rng = random.Random("outputs:" + key)
    for number in itertools.count():
        way = LEFT if number == 0 else rng.choice((LEFT, SENT, BOTH))
        roll = rng.random()
        if roll < 0.05:
            # More than what goes up together with others.
            size_bytes = rng.randrange(262_000, 400_000)
        elif roll < 0.15:
            size_bytes = rng.randrange(2)
        else:
            size_bytes = rng.randrange(20_000)
        name = "of \xe4ll/%d" % rng.randrange(_NAMES)
        if number == 1 and large:
            way, name, size_bytes = large, "large", LARGE_BYTES
        yield way, "%s/%s" % (way, name), rng.randbytes(size_bytes)


def main():
    """Run to the end that the arguments and the gate say."""
    codes, at_term, large = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
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
    others = [
        threading.Thread(target=measure, args=(key, output, is_open), daemon=True),
        threading.Thread(target=bring, args=(key, large, output, is_open), daemon=True),
    ]
    for other in others:
        other.start()
    say(key, output, lambda: os.path.exists(gate))
    is_open.set()
    # Its site's agent may be away: they have a moment, and leave in doubt one piece each.
    for other in others:
        other.join(0.3)
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
        insist("POST /v1/metrics", body)
        os.pwrite(told, b"%d" % number, 0)
        if not is_open.is_set():
            time.sleep(_BATCH_PAUSE_S)
        elif left:
            left -= 1
        else:
            return


def bring(key, large, output, is_open):
    """Leave files and send files, each until it is answered; some more once it is open."""
    told = os.open(output + "/" + OUTPUTS, os.O_WRONLY | os.O_CREAT, 0o644)
    left = LAST_OUTPUTS
    for number, (way, name, data) in enumerate(outputs(key, large), 1):
        if way != SENT:
            path = os.path.join(output, name).encode()
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        if way != LEFT:
            insist("PUT /v1/outputs/" + "".join("%%%02x" % byte for byte in name.encode()), data)
        os.pwrite(told, b"%d" % number, 0)
        if not is_open.is_set():
            time.sleep(_OUTPUT_PAUSE_S)
        elif left:
            left -= 1
        else:
            return


def insist(request, body):
    """Ask until it is answered."""
    while not sent(request, body):
        time.sleep(_AGAIN_S)


def sent(request, body):
    """Send something; return whether the agent said that it has it."""
    head = request.encode() + b" HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n"
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(_LARGE_ANSWER_S if len(body) == LARGE_BYTES else _ANSWER_S)
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
