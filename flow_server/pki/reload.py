"""The server's own certificate, read again whenever its files change."""

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from flow_contract.errors import InvalidArgument, Kind
from flow_server.pki.files import read_private, read_public

log = structlog.get_logger()

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What a handshake shows: key and certificate with its chain, PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


class ServerCertificate:
    """A certificate and its key in two files.

    What is in the files is taken over once it is a pair; until then what was there before is
    kept, so that a renewal under way or a bad one ends nothing that works. Any thread may ask.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises InvalidArgument if there is no usable pair to begin with."""
        self._certificate_path = certificate
        self._key_path = key
        self._lock = threading.Lock()
        self._stamps = self._look()
        self.present = self._read()

    def look_again(self) -> None:
        """Have `present` be what the files hold, if they changed and hold a pair."""
        with self._lock:
            stamps = self._look()
            if stamps == self._stamps:
                return
            self._stamps = stamps
            try:
                self.present = self._read()
            except InvalidArgument as error:
                log.warning("certificate_not_taken", message=error.message)
                return
        log.info("certificate_taken", certificate=str(self._certificate_path))

    def _look(self) -> tuple[_Stamp | None, _Stamp | None]:
        return _stamp(self._certificate_path), _stamp(self._key_path)

    def _read(self) -> Pair:
        pair = Pair(
            certificate_pem=read_public(self._certificate_path),
            key_pem=read_private(self._key_path),
        )
        if not _is_pair(pair):
            raise InvalidArgument(
                f"{self._key_path} is not the key of {self._certificate_path}, or one of them "
                "is not PEM without a password",
                kind=Kind.SERVER,
                field="tls_key",
            )
        return pair


def _is_pair(pair: Pair) -> bool:
    try:
        certificate = x509.load_pem_x509_certificates(pair.certificate_pem)[0]
        key = serialization.load_pem_private_key(pair.key_pem, password=None)
        return key.public_key() == certificate.public_key()
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        return False


def _stamp(path: Path) -> _Stamp | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_ino, status.st_size
    return None
