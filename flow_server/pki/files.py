"""The pki directory: what is in it, who may read it, and how it comes to be.

    ca.pem          who signs; clients and agents know the server by it
    ca.key          the signing key; a replica without it serves and signs nothing
    server.pem      this server's certificate
    server.key
    admin.token     the first administrator's token in clear, to be taken away
    bootstrap.json  its hash, by which a server that knows no user makes that one

Nothing is ever overwritten but by `replace_server_certificate`.
"""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from flow_contract.errors import AlreadyExists, InvalidArgument, Kind
from flow_contract.secrets import Secret, write_api_token
from flow_server.pki.authority import Authority, KeyPair

ADMIN_USER = "admin"

_PRIVATE = 0o600
_PUBLIC = 0o644
# A group may read, as those of web servers do; that is an operator's deliberate choice.
_OPEN_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True, kw_only=True)
class PkiDirectory:
    """Paths in one pki directory."""

    path: Path

    @property
    def ca_certificate(self) -> Path:
        """The authority's certificate."""
        return self.path / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The authority's key."""
        return self.path / "ca.key"

    @property
    def server_certificate(self) -> Path:
        """The server's certificate, with its chain."""
        return self.path / "server.pem"

    @property
    def server_key(self) -> Path:
        """The server's key."""
        return self.path / "server.key"

    @property
    def admin_token(self) -> Path:
        """The first administrator's token."""
        return self.path / "admin.token"

    @property
    def bootstrap(self) -> Path:
        """The hash of that token."""
        return self.path / "bootstrap.json"


def pki_in(state_dir: Path) -> PkiDirectory:
    """Return the pki directory of a state directory."""
    return PkiDirectory(path=state_dir / "pki")


def write_new(pki: PkiDirectory, *, ca: KeyPair, server: KeyPair, admin: Secret) -> None:
    """Make the directory with everything in it.

    Raises:
        AlreadyExists: there is something at its path; it is left as it is.
        InvalidArgument: it can't be written there.
    """
    draft = pki.path.with_name(f".{pki.path.name}.{os.getpid()}")
    bootstrap = {"user": ADMIN_USER, "token_id": admin.token_id, "secret_hash": admin.digest}
    inside = PkiDirectory(path=draft)
    if pki.path.exists():
        raise _taken(pki.path)
    try:
        pki.path.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        _write(inside.ca_certificate, ca.certificate_pem, _PUBLIC)
        _write(inside.ca_key, ca.key_pem, _PRIVATE)
        _write(inside.server_certificate, server.certificate_pem, _PUBLIC)
        _write(inside.server_key, server.key_pem, _PRIVATE)
        _write(inside.admin_token, write_api_token(admin).encode() + b"\n", _PRIVATE)
        _write(inside.bootstrap, json.dumps(bootstrap).encode() + b"\n", _PRIVATE)
        # In one step, and refused if somebody else was faster: a directory is renamed onto an
        # empty one only.
        draft.rename(pki.path)
    except OSError as error:
        for path in draft.glob("*"):
            path.unlink(missing_ok=True)
        if draft.exists():
            draft.rmdir()
        if pki.path.exists():
            raise _taken(pki.path) from None
        raise _refused(f"can't write {pki.path}: {error.strerror}") from error


def replace_server_certificate(pki: PkiDirectory, server: KeyPair) -> None:
    """Put a new server certificate in the old one's place; a running server takes it over.

    Raises:
        InvalidArgument: it can't be written.
    """
    try:
        # Between the two a reader sees a pair that isn't one, and keeps what it has.
        for path, content, mode in (
            (pki.server_key, server.key_pem, _PRIVATE),
            (pki.server_certificate, server.certificate_pem, _PUBLIC),
        ):
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            _write(draft, content, mode)
            draft.replace(path)
    except OSError as error:
        raise _refused(f"can't write in {pki.path}: {error.strerror}") from error


def read_ca(pki: PkiDirectory) -> bytes:
    """Return the authority's certificate, PEM.

    Raises:
        InvalidArgument: there is none; the text says how one is made.
    """
    if not pki.ca_certificate.exists():
        raise _refused(
            f"there are no certificates in {pki.path}; make them with 'fedflow server init "
            f"--state-dir {pki.path.parent}', or serve this machine alone with --insecure"
        )
    return read_public(pki.ca_certificate)


def read_authority(pki: PkiDirectory) -> Authority | None:
    """Return the authority that can sign, None where its key isn't kept.

    Raises:
        InvalidArgument: the key is damaged, or others may read it.
    """
    if not pki.ca_key.exists():
        return None
    return Authority(read_ca(pki), read_private(pki.ca_key))


def read_public(path: Path) -> bytes:
    """Return a file's content. Raises InvalidArgument."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(f"can't read {path}: {error.strerror}") from error


def read_private(path: Path) -> bytes:
    """Return the content of a file that is nobody else's to read.

    Raises:
        InvalidArgument: it can't be read, or others could.
    """
    try:
        # Asked of the open file, so that it can't be another one by then.
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OPEN_TO_OTHERS:
                raise _refused(
                    f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); "
                    f"chmod 600 {path}, and think of who may have read it"
                )
            return file.read()
    except OSError as error:
        raise _refused(f"can't read {path}: {error.strerror}") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        # The umask may have taken something away, and gives nothing.
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _taken(path: Path) -> AlreadyExists:
    return AlreadyExists(
        f"{path} exists and is left as it is; --renew makes a new server certificate by the same "
        "CA, and to begin anew move it away (every site then has to enrol again)",
        kind=Kind.SERVER,
        field="state_dir",
    )


def _refused(what: str) -> InvalidArgument:
    return InvalidArgument(what, kind=Kind.SERVER, field="pki_dir")
