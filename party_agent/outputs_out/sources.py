"""Where the bytes of an output come from: read whole or not at all, and never half of two files."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from flow_contract.outputs import OutputFile, PackedOutput
from party_agent.outputs_out.spool import Kept
from party_agent.outputs_out.tree import Changed, Found, Tree, check_same

_READ_BYTES = 1024**2


class Source(Protocol):
    """One file at the site. All methods block on the disk."""

    @property
    def file(self) -> OutputFile:
        """What it is offered as."""

    def opened(self) -> AbstractContextManager[int]:
        """Open it for reading. Raises Changed, OSError."""

    def check(self, opened: int) -> None:
        """Accept what is open if it is still what is offered. Raises Changed."""

    def again(self) -> "Source | None":
        """Return it as it is by now, None if it is gone for good."""


class SentSource:
    """A file that the workload sent; nobody changes it, but a newer one may take its place."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    @property
    def file(self) -> OutputFile:
        """What it is offered as."""
        return self.kept.file

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open it for reading. Raises Changed, OSError."""
        try:
            opened = os.open(self.kept.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Changed("a newer one was sent") from error
        try:
            yield opened
        finally:
            os.close(opened)

    def check(self, opened: int) -> None:
        """Accept it. Raises Changed: its size is another one."""
        if os.fstat(opened).st_size != self.kept.file.bytes:
            raise Changed("it is damaged")

    def again(self) -> Source | None:
        """Return it while it is there."""
        return self if self.kept.path.exists() else None


class LeftSource:
    """A file that the workload left in its output directory."""

    def __init__(self, tree: Tree, found: Found) -> None:
        self._tree = tree
        self._found = found
        self._file = found.file

    @property
    def file(self) -> OutputFile:
        """What it is offered as."""
        return self._file

    def opened(self) -> AbstractContextManager[int]:
        """Open it for reading. Raises Changed, OSError."""
        return self._tree.open(self._found)

    def check(self, opened: int) -> None:
        """Accept it if nobody wrote to it. Raises Changed."""
        check_same(opened, self._found)

    def again(self) -> Source | None:
        """Look at it again."""
        found = self._tree.again(self._found)
        return None if found is None else LeftSource(self._tree, found)


def packed(source: Source) -> PackedOutput:
    """Return a small file with its bytes. Raises Changed, OSError."""
    with source.opened() as opened:
        data = read_exactly(opened, 0, source.file.bytes)
        source.check(opened)
    return PackedOutput(file=source.file, sha256=hashlib.sha256(data).digest(), data=data)


def digest_of(source: Source) -> bytes:
    """Return the SHA-256 of a file. Raises Changed, OSError."""
    digest = hashlib.sha256()
    with source.opened() as opened:
        for start in range(0, source.file.bytes, _READ_BYTES):
            size_bytes = min(_READ_BYTES, source.file.bytes - start)
            digest.update(read_exactly(opened, start, size_bytes))
        source.check(opened)
    return digest.digest()


def read_exactly(opened: int, start: int, size_bytes: int) -> bytes:
    """Return so many bytes from `start` on. Raises Changed: there are fewer."""
    data = os.pread(opened, size_bytes, start)
    while len(data) < size_bytes:
        more = os.pread(opened, size_bytes - len(data), start + len(data))
        if not more:
            raise Changed("it became shorter while it was read")
        data += more
    return data
