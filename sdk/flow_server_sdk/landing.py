"""Where a download comes down: below one folder, whole or not at all, and resumed after a cut."""

import hashlib
import os
import stat
from pathlib import Path

from flow_contract.errors import InvalidArgument
from flow_contract.ids import is_party_id
from flow_contract.outputs import StoredOutput, check_name

_READ_BYTES = 1024**2
_DRAFT = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Landing:
    """One file on its way to `<to>/<party>/<name>`. All methods block on the disk.

    What has come lies beside it under a name of its own, `.<SHA-256>.part`, and is taken up again
    by whoever downloads the same file to the same place.
    """

    def __init__(self, to: Path, stored: StoredOutput, *, overwrite: bool) -> None:
        """Make the folders.

        Raises:
            InvalidArgument: the file may not lie there, or something else does.
            OSError: the disk refuses.
        """
        self.stored = stored
        self.size_bytes = 0
        self._overwrite = overwrite
        self._digest = hashlib.sha256()
        self._file = -1
        self.path = _place(to, stored)
        # Found before anything is downloaded; looked at again at the end.
        self.is_there = self._is_same() if os.path.lexists(self.path) else False
        if not self.is_there:
            self._refuse_other()
            self._begin()

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._digest.update(data)
        self.size_bytes += len(data)

    def finish(self) -> bool:
        """Let the file be seen; False if its bytes are not right, and then they are gone.

        Raises:
            InvalidArgument: another file has come to lie there meanwhile.
            OSError: the disk refuses.
        """
        draft = self._draft
        if (self.size_bytes, self._digest.digest()) != (self.stored.bytes, self.stored.sha256):
            self.discard()
            return False
        os.fsync(self._file)
        self.close()
        self._refuse_other()
        draft.replace(self.path)
        return True

    def discard(self) -> None:
        """Forget what has come."""
        self.close()
        self._draft.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of what has come; it stays. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def _draft(self) -> Path:
        return self.path.with_name(f".{self.stored.sha256.hex()}.part")

    def _begin(self) -> None:
        self._file = os.open(self._draft, _DRAFT, 0o666)
        if os.fstat(self._file).st_size > self.stored.bytes:
            os.ftruncate(self._file, 0)
        while data := os.read(self._file, _READ_BYTES):
            self._digest.update(data)
            self.size_bytes += len(data)

    def _is_same(self) -> bool:
        if not stat.S_ISREG(self.path.lstat().st_mode):
            return False
        if self.path.stat().st_size != self.stored.bytes:
            return False
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == self.stored.sha256

    def _refuse_other(self) -> None:
        if os.path.lexists(self.path) and (not self._overwrite or self.path.is_dir()):
            raise InvalidArgument(
                f"to: {self.path} is there already, and is another file; say overwrite=True, or "
                "choose another folder",
                field="to",
            )


def _place(to: Path, stored: StoredOutput) -> Path:
    """Return where the file goes, its folders made, none of which leads out of `to`."""
    check_name(stored.name)
    if not is_party_id(stored.federated_id):
        raise InvalidArgument("party: not a party's id", field="party")
    if os.name == "nt" and any(letter in stored.name for letter in '\\:*?"<>|'):
        raise InvalidArgument(
            f"name: {stored.name[:100]!r} can't be a file's name here", field="name"
        )
    path = to / stored.federated_id / stored.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidArgument(
            f"to: a file lies in the way of the folder {path.parent}", field="to"
        ) from error
    real = path.parent.resolve()
    if not real.is_relative_to(to.resolve()):
        raise InvalidArgument(f"to: {path.parent} leads out of {to}, by a link", field="to")
    return path
