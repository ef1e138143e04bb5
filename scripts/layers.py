"""Tar streams for the engine: written while they are read, so that no copy lies on disk."""

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Files, texts, links and folders by their path in the archive, without a leading slash."""

    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)

    def digest(self, *more: str) -> str:
        """Return what changes when anything that goes into the layer does.

        Files count by path, size and time of change: reading 900 MB at each call would be slow.
        """
        total = hashlib.sha256()
        for target, source in sorted(self.files.items()):
            seen = source.stat()
            total.update(f"{target}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
        for item in (sorted(self.texts.items()), sorted(self.links.items()), more):
            total.update(repr(item).encode())
        return total.hexdigest()[:32]

    def write(self, archive: tarfile.TarFile) -> None:
        """Write all of it, owned by root and readable by everybody."""
        for name, mode in self._all_folders().items():
            entry = _entry(name, mode)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        for name, source in sorted(self.files.items()):
            with source.open("rb") as content:
                seen = os.fstat(content.fileno())
                entry = _entry(name, 0o755 if seen.st_mode & 0o100 else 0o644)
                entry.size = seen.st_size
                # A .pyc names the time of its source: a changed time makes Python compile again.
                entry.mtime = int(seen.st_mtime)
                archive.addfile(entry, content)
        for name, text in sorted(self.texts.items()):
            entry = _entry(name, 0o644)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
        for name, target in sorted(self.links.items()):
            entry = _entry(name, 0o777)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)

    def _all_folders(self) -> dict[str, int]:
        names = {
            str(parent)
            for name in (*self.files, *self.texts, *self.links, *self.folders)
            for parent in Path(name).parents
            if str(parent) != "."
        }
        return dict.fromkeys(sorted(names), 0o755) | self.folders

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """Yield the archive as a file to read; a thread writes it meanwhile."""
        read_fd, write_fd = os.pipe()
        failures: list[OSError] = []

        def fill() -> None:
            try:
                with (
                    os.fdopen(write_fd, "wb") as sink,
                    tarfile.open(fileobj=sink, mode="w|", bufsize=1 << 20) as archive,
                ):
                    self.write(archive)
            except BrokenPipeError:
                pass  # the reader has given up and says why itself
            except OSError as problem:
                failures.append(problem)

        writer = threading.Thread(target=fill, name="layer")
        writer.start()
        try:
            with os.fdopen(read_fd, "rb") as source:
                yield source
        finally:
            writer.join()
        if failures:
            raise failures[0]


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    entry.uname = entry.gname = "root"
    return entry


def tree(source: Path, target: str, *, left_out: tuple[str, ...] = ()) -> dict[str, Path]:
    """Return the files under `source` by their path under `target`.

    `left_out` are folders and files by their path under `source`.
    """
    files = {}
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not any(inside.is_relative_to(out) for out in left_out):
            files[str(Path(target) / inside)] = path
    return files
