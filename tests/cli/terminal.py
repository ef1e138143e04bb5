"""A `fedflow` on a terminal of its own, as a person sees it and types at it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from tests.e2e.processes.children import DEADLINE_S, command, environment

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


class Terminal:
    """One command on a pseudo-terminal; Ctrl-C is typed, as a person does it."""

    def __init__(self, *arguments, program=None, columns=100, rows=30, **settings):
        """Run `fedflow` with these arguments, or another program's command line."""
        self._master, slave = pty.openpty()
        self.resize(columns, rows)
        plain = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        env = {**environment(), **plain, **{key: str(value) for key, value in settings.items()}}
        for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
            if variable not in settings:
                env.pop(variable, None)
        self._process = subprocess.Popen(
            program or command(*arguments), env=env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
            # Nothing else makes it the terminal that its Ctrl-C comes from.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )  # fmt: skip
        os.close(slave)
        self.raw = ""

    @property
    def text(self):
        """All that was written so far, without what moves the cursor or colours."""
        return _STEERING.sub("", self.raw)

    def resize(self, columns, rows):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def type(self, text):
        os.write(self._master, text.encode())

    def interrupt(self):
        self.type("\x03")

    def until(self, words, *, after=0):
        """Read until `words` stand after this many characters of the text; return where."""
        while words not in self.text[after:]:
            assert self._read(), f"{words!r} never came:\n{self.text}"
        return self.text.index(words, after) + len(words)

    def ended(self):
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self._process.wait(DEADLINE_S)

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self):
        ready, _, _ = select.select([self._master], [], [], DEADLINE_S)
        assert ready, f"nothing came for {DEADLINE_S} s:\n{self.text}"
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def __enter__(self):
        self._began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.close()
