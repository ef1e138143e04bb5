"""What a workload left in its output directory, looked at and opened without following it anywhere.

Everything below was made by somebody who may be hostile: each step goes by descriptor from the
directory above, links are not followed, and what is opened is compared with what was seen.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flow_contract.errors import InvalidArgument
from flow_contract.outputs import MAX_FOLDERS, OutputFile, check_name
from party_agent.outputs_out.skips import Skips

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO that took a file's place must not hold anybody up.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS = (
    (stat.S_ISLNK, "a symbolic link; links are not followed"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


# What opening a link says, and a folder or file that a link took the place of.
_LINKS = (errno.ELOOP, errno.EMLINK, errno.ENXIO)


class Changed(Exception):
    """The file is not what it was when it was looked at."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A regular file as it was seen: times are nanoseconds, `inode` counts on its file system."""

    name: str
    bytes: int
    inode: int
    changed_ns: int
    modified_ns: int

    @property
    def file(self) -> OutputFile:
        """Return it as it is offered: what changes gets another id."""
        known = f"{self.inode} {self.bytes} {self.changed_ns} {self.modified_ns} {self.name}"
        upload_id = hashlib.sha256(known.encode()).hexdigest()[:32]
        return OutputFile(upload_id=upload_id, name=self.name, bytes=self.bytes)


class Tree:
    """The files below `root`. All methods block on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def scan(self, skips: Skips, *, most_files: int) -> list[Found]:
        """Return the regular files by name, `most_files` at most; what is none goes to `skips`."""
        try:
            with self._folder(()) as root:
                scan = _Scan(os.fstat(root), skips, most_files)
        except OSError:
            return []
        while scan.waiting:
            path = scan.waiting.pop()
            try:
                with self._folder(path) as place, os.scandir(place) as entries:
                    for entry in entries:
                        scan.look(place, path, entry.name)
            except OSError as error:
                skips.add("/".join(path), f"a folder that can't be read ({error.strerror})")
        return sorted(scan.found, key=lambda one: one.name)

    @contextmanager
    def open(self, found: Found) -> Iterator[int]:
        """Open a file that was found, for reading.

        Raises:
            Changed: something else is there by now.
            OSError: it can't be read.
        """
        *folders, last = found.name.split("/")
        try:
            with self._folder(tuple(folders)) as place:
                file = os.open(last, _FILE, dir_fd=place)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Changed("it is gone") from error
        except OSError as error:
            if error.errno in _LINKS:
                raise Changed("a link took its place") from error
            raise
        try:
            check_same(file, found)
            os.set_blocking(file, True)
            yield file
        finally:
            os.close(file)

    def again(self, found: Found) -> Found | None:
        """Look at a file once more; None if there is none any more."""
        *folders, last = found.name.split("/")
        try:
            with self._folder(tuple(folders)) as place:
                seen = os.stat(last, dir_fd=place, follow_symlinks=False)
        except OSError:
            return None
        return _found(found.name, seen) if stat.S_ISREG(seen.st_mode) else None

    @contextmanager
    def _folder(self, path: tuple[str, ...]) -> Iterator[int]:
        place = os.open(self._root, _FOLDER)
        try:
            for name in path[:MAX_FOLDERS]:
                below = os.open(name, _FOLDER, dir_fd=place)
                os.close(place)
                place = below
            yield place
        finally:
            os.close(place)


class _Scan:
    """What a look through a tree has found, and the folders that it has still to go to."""

    def __init__(self, root: os.stat_result, skips: Skips, most_files: int) -> None:
        self.found: list[Found] = []
        self.waiting: list[tuple[str, ...]] = [()]
        self._root = root
        self._skips = skips
        self._most_files = most_files

    def look(self, place: int, path: tuple[str, ...], entry: str) -> None:
        """Look at one entry of the folder that is open as `place`."""
        name = "/".join((*path, entry))
        try:
            check_name(name)
            seen = os.stat(entry, dir_fd=place, follow_symlinks=False)
        except InvalidArgument as error:
            self._skips.add(name, error.message.removeprefix("name: "))
        except FileNotFoundError:
            self._skips.add(name, "it is gone")
        else:
            if stat.S_ISDIR(seen.st_mode):
                self.waiting.append((*path, entry))
            elif why := self._refusal(seen):
                self._skips.add(name, why)
            else:
                self.found.append(_found(name, seen))

    def _refusal(self, seen: os.stat_result) -> str:
        for is_one, why in _KINDS:
            if is_one(seen.st_mode):
                return why
        if not stat.S_ISREG(seen.st_mode):
            return "no regular file"
        if seen.st_dev != self._root.st_dev:
            return "lies on another file system"
        if seen.st_nlink > 1 and seen.st_uid != self._root.st_uid:
            return "a hard link to another user's file"
        if len(self.found) >= self._most_files:
            return f"there are more than {self._most_files} files"
        return ""


def check_same(file: int, found: Found) -> None:
    """Accept an open file that is still what was found.

    Raises:
        Changed: it is not.
    """
    seen = os.fstat(file)
    if not stat.S_ISREG(seen.st_mode) or _found(found.name, seen) != found:
        raise Changed("it changes while it is read")


def _found(name: str, seen: os.stat_result) -> Found:
    return Found(
        name=name,
        bytes=seen.st_size,
        inode=seen.st_ino,
        changed_ns=seen.st_ctime_ns,
        modified_ns=seen.st_mtime_ns,
    )
