"""Logs that the server will not take, or that can't be read here: each ends alone.

The first time the rest of such a log gives way to a mark, once nobody writes to it any more; if
that is not taken either, the log is left alone until the agent starts again or it is too old.
"""

import grpc.aio
import structlog

from flow_contract.errors import InvalidArgument, Kind
from flow_wire.codec.errors import error_in

log = structlog.get_logger()


class RefusedLogs:
    """What is known of them; it outlives each connection."""

    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        self._cut: set[str] = set()
        self._given_up: set[str] = set()

    def takes(self, error: grpc.aio.AioRpcError) -> bool:
        """Note which log the server refused; False if it named none, or one that is left alone."""
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            return False
        known = error_in(error.trailing_metadata() or ())
        if not isinstance(known, InvalidArgument) or known.kind is not Kind.PARTY_RUN:
            return False
        if not known.subject_id or known.subject_id in self._given_up:
            return False
        why = f"the server refused it ({known.message})"
        if self._note(known.subject_id, why):
            log.error("log_refused", party_run_id=known.subject_id, why=known.message)
        return True

    def note_damaged(self, party_run_id: str, why: str) -> None:
        """Note a log that can't be read here."""
        if self._note(party_run_id, f"it is damaged at its site ({why})"):
            log.error("log_damaged", party_run_id=party_run_id, why=why)

    def is_left(self, party_run_id: str) -> bool:
        """Say whether nothing of this log is sent any more."""
        return party_run_id in self._given_up

    def mark_for(self, party_run_id: str) -> str | None:
        """Return the sentence that is to take the place of a log's rest; None if none is."""
        why = self._why.get(party_run_id)
        if why is None or party_run_id in self._cut:
            return None
        return f"what follows is lost: {why}"

    def note_cut(self, party_run_id: str) -> None:
        """Note that the mark is there."""
        self._cut.add(party_run_id)

    def forget(self, party_run_id: str) -> None:
        """Forget a log that is not here any more."""
        self._why.pop(party_run_id, None)
        self._cut.discard(party_run_id)

    def _note(self, party_run_id: str, why: str) -> bool:
        """Return whether this is the first time."""
        if party_run_id not in self._why:
            self._why[party_run_id] = why
            return True
        self._given_up.add(party_run_id)
        log.error("log_left_alone", party_run_id=party_run_id, why=why)
        return False
