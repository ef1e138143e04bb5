"""From a call and its end to an entry in the audit log."""

from collections.abc import Callable
from datetime import UTC, datetime

from google.protobuf.message import Message

from flow_contract.access import Caller, CallerKind
from flow_contract.audit import Act, Outcome
from flow_contract.errors import FlowError, Forbidden, Unauthenticated
from flow_server.domain.audited import AUDITED
from flow_server.grpc_api import callers
from flow_server.services.audit import AuditService

CONNECT = "AgentService/Connect"

# Of what a caller sent; the log is no place for more.
_MAX_CHARS = 200


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


class Auditor:
    """Notes calls that change something, and every call that is denied."""

    def __init__(self, audit: AuditService, *, now: Callable[[], datetime] = utc_now) -> None:
        self._audit = audit
        self._now = now

    async def note_end(
        self,
        method: str,
        request: Message | None,
        answer: Message | None,
        error: FlowError | None,
    ) -> None:
        """Note the end of the call that is being answered.

        Of a connection only that it was refused: that it was made is noted when it is.
        """
        if method == CONNECT and outcome_of(error) is not Outcome.DENIED:
            return
        await self.note(method, callers.current(), request=request, answer=answer, error=error)

    async def note(
        self,
        method: str,
        caller: Caller,
        *,
        request: Message | None = None,
        answer: Message | None = None,
        error: FlowError | None = None,
    ) -> None:
        """Note the end of a call to `method` ("Service/Method"), if it is one to be noted.

        Raises:
            Exhausted: the log can't keep up.
        """
        subject = AUDITED.get(method)
        outcome = outcome_of(error)
        if subject is None and outcome is not Outcome.DENIED:
            return
        detail = {} if error is None else {"code": error.code}
        subject_id = ""
        if subject is not None:
            subject_id = _text_of(subject.field, request, answer)
            if not subject_id and caller.kind is CallerKind.PARTY:
                subject_id = caller.name
            for field in subject.also:
                if text := _text_of(field, request, answer):
                    detail[field] = text
        await self._audit.record(
            Act(
                at=self._now(),
                actor_kind=caller.kind.value,
                actor=caller.name,
                address=caller.address,
                action=method,
                subject_kind="" if subject is None else subject.kind,
                subject_id=subject_id,
                outcome=outcome,
                detail=detail | ({"credential": caller.credential} if caller.credential else {}),
            )
        )


def outcome_of(error: FlowError | None) -> Outcome:
    """Return how a call that ended with `error` ended."""
    if error is None:
        return Outcome.DONE
    denied = isinstance(error, Unauthenticated | Forbidden)
    return Outcome.DENIED if denied else Outcome.FAILED


def _text_of(field: str, *messages: Message | None) -> str:
    for message in messages:
        if message is not None and field in message.DESCRIPTOR.fields_by_name:
            text = str(getattr(message, field))
            if text:
                # What can't be stored in a row must not keep the entry from being written.
                return text[:_MAX_CHARS].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return ""
