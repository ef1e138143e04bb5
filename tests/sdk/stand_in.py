"""A stand-in for server and agent: says when it is up and when it goes, and how it dies.

Arguments: name, ready file, journal file, manner.
"""

import json
import signal
import sys
from pathlib import Path

name, ready_file, journal, manner = sys.argv[1:]


def note(what: str) -> None:
    with Path(journal).open("a") as file:
        file.write(f"{name} {what}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{name} {text}\n")
    sys.stdout.flush()


def leave(*_: object) -> None:
    note("down")
    say("says goodbye")
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "deaf" else leave)
note("up")
if manner == "dies":
    sys.exit(f"{name} can't go on")
if manner != "never ready":
    draft = Path(f"{ready_file}.draft")
    draft.write_text(json.dumps({"grpc": "127.0.0.1:5", "http": "127.0.0.1:6"}))
    draft.rename(ready_file)
say("is up")
while True:
    signal.pause()
