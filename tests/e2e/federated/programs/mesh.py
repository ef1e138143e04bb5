"""Answers who it is at one port, and asks all others who they are. argv: own name, port, names.

It listens at one more port, which nobody has declared.
"""

import os
import socket
import sys
import threading
import time

OWN, PORT, NAMES = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
BOUND_S = 240
WHO = "%s of %s" % (OWN, os.environ["FEDFLOW_RUN_ID"])
# Who was asked by all and has asked all may end.
asked_by = set()
enough = threading.Event()


def answer(listening):
    while True:
        connection, _ = listening.accept()
        with connection:
            who = connection.makefile("rb").readline().decode().strip()
            connection.sendall(WHO.encode())
        asked_by.add(who)
        if asked_by >= set(NAMES):
            enough.set()


def ask(name):
    deadline = time.monotonic() + BOUND_S
    while True:
        try:
            with socket.create_connection((name, PORT), timeout=BOUND_S) as connection:
                connection.sendall(OWN.encode() + b"\n")
                return connection.makefile("rb").read().decode()
        except (ConnectionRefusedError, ConnectionResetError):
            # Not started yet.
            assert time.monotonic() < deadline
            time.sleep(0.1)


for port in (PORT, PORT + 1):
    listening = socket.create_server(("0.0.0.0", port))  # noqa: S104
    threading.Thread(target=answer, args=(listening,), daemon=True).start()
for name in NAMES:
    print("%s says: %s" % (name, ask(name)), flush=True)
    if name == OWN:
        continue  # what is in one container is between its programs alone
    try:
        socket.create_connection((name, PORT + 1), timeout=BOUND_S).close()
    except ConnectionRefusedError:
        print("%s refuses" % name, flush=True)
if not enough.wait(BOUND_S):
    sys.exit("only asked by %s" % sorted(asked_by))
