"""Request ids of starts whose answer never came, so that the same command finds its run again.

An id is written down before the call and removed with its answer. What it belongs to is a
digest of all that the start says: another start gets another id.
"""

import hashlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from flow_server_sdk import known_servers

# Who comes back later than this means a new start.
KEPT_S = 3600


class PendingStart:
    """The request id of one start. `is_repeat` says that an earlier call had no answer."""

    def __init__(self, address: str, what: Any) -> None:
        digest = hashlib.sha256(json.dumps([address, what], sort_keys=True).encode()).hexdigest()
        self._path = known_servers.profiles_path().parent / "starts" / digest[:32]
        known = self._read()
        self.is_repeat = known is not None
        self.request_id = known or uuid.uuid4().hex

    def begin(self) -> None:
        """Write the id down. Where nothing can be written a repeat is a new start."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            draft.write_text(self.request_id, encoding="ascii")
            draft.replace(self._path)
            for other in self._path.parent.iterdir():
                if _age_s(other) > KEPT_S:
                    other.unlink(missing_ok=True)
        except OSError:
            return

    def end(self) -> None:
        """Forget the id: the call was answered."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return

    def _read(self) -> str | None:
        try:
            if _age_s(self._path) > KEPT_S:
                return None
            return self._path.read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
