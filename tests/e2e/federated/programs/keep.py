"""Answers at one port who it is, and keeps a connection to each of some others, whatever happens.

argv: own name, port, a prefix, names to dial. The file PREFIX-WORD in the data says a word. In the
outputs `who` says who this is, and `link-NAME` has a line per fact: `moved WORD ATTEMPT` when
something sent after the word has come back, `broke ATTEMPT HOW`. The word `end` ends the
connections, `over` the program; who dials nobody answers until it is stopped.
"""

import os
import socket
import sys
import threading
import time
from pathlib import Path

OWN, PORT, PREFIX, NAMES = sys.argv[1], int(sys.argv[2]), sys.argv[3] + "-", sys.argv[4:]
RUN, DATA = os.environ["FEDFLOW_RUN_ID"], Path(os.environ.get("FEDFLOW_DATA_DIR", "/data"))
OUTPUT = Path(os.environ["FEDFLOW_OUTPUT_DIR"])
# Longer than any fault lasts: who waits that long hangs.
BOUND_S = 100
BYTES = b"marker-in-the-clear " * 3000
WHO = (OWN + " of " + RUN + "\n").encode()


def answer(connection):
    with connection:
        connection.settimeout(BOUND_S)
        try:
            connection.sendall(WHO)
            while data := connection.recv(65_536):
                connection.sendall(data)
        except OSError as error:
            if isinstance(error, TimeoutError):
                print("hung", flush=True)


def listen():
    listening = socket.create_server(("0.0.0.0", PORT), backlog=64)  # noqa: S104
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def words():
    return {path.name.removeprefix(PREFIX) for path in DATA.glob(PREFIX + "*")}


def exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def talk(connection, name, attempt, note):
    """Talk until the end is said; raise what breaks it."""
    connection.settimeout(BOUND_S)
    who = (name + " of " + RUN + "\n").encode()
    heard = exactly(connection, len(who))
    if heard != who:
        print("wrong container: %r" % heard, flush=True)
        os._exit(3)
    noted = set()
    while True:
        now = words()
        connection.sendall(BYTES)
        if exactly(connection, len(BYTES)) != BYTES:
            print("wrong bytes", flush=True)
            os._exit(4)
        for word in sorted(now - noted):
            note("moved %s %d" % (word, attempt))
        noted |= now
        if "end" in now:
            return
        time.sleep(0.01)  # a pace that leaves the processor to others


def keep(name):
    facts = (OUTPUT / ("link-" + name)).open("a")

    def note(fact):
        facts.write(fact + "\n")
        facts.flush()

    attempt = 0
    while True:
        attempt += 1
        try:
            with socket.create_connection((name, PORT), timeout=BOUND_S) as connection:
                talk(connection, name, attempt, note)
                return
        except TimeoutError:
            note("broke %d hung" % attempt)
            print("hung", flush=True)
            os._exit(5)
        except (OSError, EOFError) as error:
            note("broke %d %s" % (attempt, type(error).__name__))
            time.sleep(0.05)


(OUTPUT / "who").write_bytes(WHO)
threading.Thread(target=listen, daemon=True).start()
keepers = [threading.Thread(target=keep, args=(name,)) for name in NAMES]
for each in keepers:
    each.start()
for each in keepers:
    each.join()
# Others may still be talking to this one.
while not NAMES or "over" not in words():
    time.sleep(0.1)
print("done", flush=True)
