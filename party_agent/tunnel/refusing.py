"""What becomes of connections, for the site's people: the agent's log, its audit log, its metrics.

A server or a peer that asks for what it may not is written down once for each thing it asks,
however often it does: nobody can fill the site's disk by asking.
"""

from enum import StrEnum

import structlog

from flow_contract.assignments import WorkloadSpec
from flow_contract.audit import Outcome
from party_agent.audit import AuditLog, AuditUnreadable
from party_agent.tunnel.pump import Ended

_MOST_NOTED = 2_000
_MAX_DETAIL = 200

log = structlog.get_logger()


class Refused(StrEnum):
    """Why a connection did not come about."""

    # An offer for a party run that is not here.
    UNKNOWN_RUN = "unknown_run"
    # An offer that the run's own assignment does not allow.
    NOT_DECLARED = "not_declared"
    # Who answered was somebody else than the peer.
    UNTRUSTED = "untrusted"
    # The site's limit on connections.
    FULL = "full"
    # The workload does not listen there.
    NOT_LISTENING = "not_listening"
    # The server gave no ticket.
    NOT_OPENED = "not_opened"
    # The other side was not met, or its dial failed.
    NOT_CONNECTED = "not_connected"


# What an honest server and honest peers never bring about.
_SUSPICIOUS = frozenset({Refused.UNKNOWN_RUN, Refused.NOT_DECLARED, Refused.UNTRUSTED})


class TunnelWatch:
    """Told of each connection as it begins and ends, or does not come about.

    An entry that can't be written into the audit log is said in the agent's and holds nothing up.
    """

    def __init__(self, audit: AuditLog | None = None) -> None:
        self._audit = audit
        self._noted: set[tuple[str, ...]] = set()

    def began(self) -> None:
        """Hear that a connection of a workload is being made."""

    def ended(self, how: Ended | Refused) -> None:
        """Hear that it ended, or did not come about."""

    def moved(self, sent_bytes: int, received_bytes: int) -> None:
        """Hear how many more bytes of workloads have passed."""

    async def refused(
        self, why: Refused, *, spec: WorkloadSpec | None, party_run_id: str, **facts: str
    ) -> None:
        """Write down why a connection did not come about."""
        facts = {name: text[:_MAX_DETAIL] for name, text in facts.items()}
        is_suspicious = why in _SUSPICIOUS
        (log.warning if is_suspicious else log.debug)(
            "tunnel_refused", reason=why.value, party_run_id=party_run_id[:_MAX_DETAIL], **facts
        )
        if not is_suspicious:
            return
        # Without what a hostile server could make up anew each time.
        key = (why, party_run_id if spec is not None else "", facts.get("detail", ""))
        if key in self._noted or len(self._noted) >= _MOST_NOTED:
            return
        self._noted.add(key)
        if self._audit is None:
            return
        try:
            await self._audit.record(
                "tunnel.refuse",
                outcome=Outcome.DENIED,
                subject_kind="party_run",
                subject_id=party_run_id[:_MAX_DETAIL],
                run_id="" if spec is None else spec.run_id,
                reason=why.value,
                **facts,
            )
        except (OSError, AuditUnreadable) as error:
            log.error("audit_not_written", action="tunnel.refuse", error=str(error))  # noqa: TRY400  a sentence
