"""What only people can change, said to them: in the log each time, in the audit log once."""

import structlog
from grpc import StatusCode

from flow_contract.audit import Outcome
from party_agent.audit import AuditLog, AuditUnreadable
from party_agent.dial import FOR_PEOPLE

_MAX_DETAIL = 500

log = structlog.get_logger()


class Refusals:
    """Remembers what was said last, so that a week of refusals is no week of audit entries."""

    def __init__(self, audit: AuditLog, *, server: str, party: str) -> None:
        self._audit = audit
        self._server = server
        self._party = party
        self._said = ""

    async def refused(self, code: StatusCode | None, said: str, *, retry_s: float) -> None:
        """Say that this site is not let in: with the server's code and words, or our own."""
        name, answer = ("not_dialled", "") if code is None else (code.name, said)
        why = said if code is None else FOR_PEOPLE[code]
        log.error(
            "connection_refused",
            server=self._server,
            party_id=self._party,
            code=name,
            why=why,
            answer=answer,
            retry_in_s=round(retry_s, 1),
        )
        if self._said != why:
            self._said = why
            await self._record(Outcome.DENIED, code=name, why=why, answer=answer[:_MAX_DETAIL])

    async def admitted(self) -> None:
        """Say that it is let in again, if it was refused before."""
        if self._said:
            self._said = ""
            await self._record(Outcome.DONE)

    async def _record(self, outcome: Outcome, **detail: str) -> None:
        try:
            await self._audit.record(
                "agent.connect",
                outcome=outcome,
                actor=self._server,
                subject_kind="party",
                subject_id=self._party,
                **detail,
            )
        except (OSError, AuditUnreadable) as error:
            # The agent still has to say it, and to try again.
            log.error("audit_not_written", error=str(error))  # noqa: TRY400  a sentence says it
