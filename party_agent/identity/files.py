"""The identity on disk: `identity` in the agent's state directory.

current -> <hex>/        replaced in one step, with all that is in it
key.pem              0600; refused if anybody else could read it
certificate.pem
ca.pem               by which the server is known
server.json          {"server", "agents_address", "party", "received_at"}
pending-<name>.pem       a key that a certificate was asked for and not received yet
"""

import json
import os
import secrets
import shutil
import stat
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from party_agent.identity.keys import CertificateFacts, CertificateUnfit, read_facts

FOLDER = "identity"
_CURRENT = "current"
_KEY, _CERTIFICATE, _CA, _SERVER = "key.pem", "certificate.pem", "ca.pem", "server.json"
_PRIVATE, _PUBLIC = 0o600, 0o644
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOOKS = 3


class IdentityMissing(Exception):
    """There is no identity; the message says how to get one."""


class IdentityUnusable(Exception):
    """There is one that can't be used; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One party's identity. `server` is where it enrolled; the key shows in no repr.

    `received_at` is when this machine received the certificate, by its own clock.
    """

    party: str
    server: str
    agents_address: str
    key_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    ca_pem: bytes = field(repr=False)
    received_at: datetime

    @property
    def facts(self) -> CertificateFacts:
        """What the certificate says. Raises CertificateUnfit."""
        return read_facts(self.certificate_pem)

    def renewed(
        self, *, key_pem: bytes, certificate_pem: bytes, ca_pem: bytes, at: datetime
    ) -> "Identity":
        """Return the same party's identity with another key."""
        return replace(
            self, key_pem=key_pem, certificate_pem=certificate_pem, ca_pem=ca_pem, received_at=at
        )


def exists(state_dir: Path) -> bool:
    """Say whether this state directory has an identity."""
    return (state_dir / FOLDER / _CURRENT).is_symlink()


def read(state_dir: Path) -> Identity:
    """Return the identity.

    Raises:
        IdentityMissing: there is none.
        IdentityUnusable: it is damaged, incomplete, or its key can be read by others.
    """
    folder = state_dir / FOLDER
    for _ in range(_LOOKS):
        try:
            # Resolved once: all files are of one identity, also if it is replaced meanwhile.
            place = place_of(state_dir)
        except FileNotFoundError:
            break
        except OSError as error:
            raise _unusable(folder, f"can't be read: {error.strerror}") from error
        try:
            return _read(place)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unusable(folder, f"can't be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, CertificateUnfit) as error:
            raise _unusable(folder, "is damaged; restore it from a copy") from error
    else:
        raise _unusable(folder, "is incomplete; restore it from a copy")
    raise IdentityMissing(
        f"there is no identity in {state_dir}: ask the server's operator for an enrolment token "
        "('fedflow party add ID'), then run 'fedflow agent enrol --server HOST:PORT --token - "
        f"--state-dir {state_dir}'; or dial a server on this machine with --insecure"
    )


def place_of(state_dir: Path) -> Path:
    """Return the directory that holds the identity now; its files never change, and may go.

    Raises:
        OSError: there is none, or it can't be read.
    """
    folder = state_dir / FOLDER
    return folder / (folder / _CURRENT).readlink()


def pair_in(place: Path) -> tuple[Path, Path]:
    """Return where the certificate and the key are, for those who only take files."""
    return place / _CERTIFICATE, place / _KEY


def write(state_dir: Path, identity: Identity) -> None:
    """Put `identity` in the place of the one that is there; a crash leaves the one or the other.

    Raises:
        OSError: it can't be written.
    """
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / secrets.token_hex(8)
    place.mkdir(mode=0o700)
    _write(place / _KEY, identity.key_pem, _PRIVATE)
    _write(place / _CERTIFICATE, identity.certificate_pem, _PUBLIC)
    _write(place / _CA, identity.ca_pem, _PUBLIC)
    document = {
        "server": identity.server,
        "agents_address": identity.agents_address,
        "party": identity.party,
        "received_at": identity.received_at.isoformat(),
    }
    _write(place / _SERVER, json.dumps(document, indent=2).encode() + b"\n", _PUBLIC)
    _sync(place)
    draft = folder / f".{_CURRENT}.{place.name}"
    draft.symlink_to(place.name)
    draft.replace(folder / _CURRENT)
    _sync(folder)
    _sweep(folder, keep=place.name)


def pending_key(folder: Path, name: str, make: bytes) -> bytes:
    """Return the key under which a certificate is asked for: `make`, unless one is kept already.

    Who asks again after a lost answer, also in another process, so asks with the same key.

    Raises:
        OSError: it can't be written.
        IdentityUnusable: others could read the one that is kept.
    """
    path = _pending(folder, name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        _write(draft, make, _PRIVATE)
        draft.replace(path)
        _sync(folder)
    return _read_private(path)


def drop_pending(folder: Path, name: str) -> None:
    """Forget such a key; nothing happens if there is none."""
    _pending(folder, name).unlink(missing_ok=True)


def _pending(folder: Path, name: str) -> Path:
    return folder / f"pending-{name}.pem"


def _read(place: Path) -> Identity:
    document = json.loads((place / _SERVER).read_bytes())
    identity = Identity(
        party=str(document["party"]),
        server=str(document["server"]),
        agents_address=str(document["agents_address"]),
        key_pem=_read_private(place / _KEY),
        certificate_pem=(place / _CERTIFICATE).read_bytes(),
        ca_pem=(place / _CA).read_bytes(),
        received_at=datetime.fromisoformat(document["received_at"]),
    )
    if identity.received_at.tzinfo is None or identity.facts.party != identity.party:
        raise ValueError("not what was written")
    return identity


def _read_private(path: Path) -> bytes:
    # Asked of the open file, so that it can't be another one by then.
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & _OTHERS:
            raise IdentityUnusable(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): whoever read it "
                "can be this party. If nobody can have, chmod 600 it; else have the server's "
                "operator revoke and add the party, and enrol with --again"
            )
        return file.read()


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path, *, keep: str) -> None:
    """Remove older identities, and what a crash left half written."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith(f".{_CURRENT}."):
            path.unlink(missing_ok=True)


def _unusable(folder: Path, what: str) -> IdentityUnusable:
    return IdentityUnusable(f"the identity in {folder} {what}, or enrol with --again")
