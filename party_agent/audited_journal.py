"""The journal, with what matters to a site's security officer noted in the audit log as it moves.

An entry is written after the journal has the move. One that can't be written is said in the
agent's log and holds nothing up: a full disk must not keep a workload from being stopped.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from flow_contract.audit import Outcome
from flow_contract.lifecycle import PartyRunState, is_final
from party_agent.audit import AuditLog, AuditUnreadable
from party_agent.journal import Journal
from party_agent.unit import Unit

_MAX_DETAIL = 200

log = structlog.get_logger()


class AuditedJournal(Journal):
    """Notes each run that is let in, refused, launched or ended, and what the site's people say."""

    def __init__(self, state_dir: Path | None, audit: AuditLog) -> None:
        super().__init__(state_dir)
        self._audit = audit
        self._states: dict[str, PartyRunState] = {}

    def load(self) -> list[Unit]:
        """Return every unit, oldest start first; what is loaded has been noted."""
        units = super().load()
        self._states = {unit.party_run_id: unit.status.state for unit in units}
        return units

    async def save(self, unit: Unit) -> None:
        """Store the unit, and note a move that is worth an entry."""
        await super().save(unit)
        before = self._states.get(unit.party_run_id)
        self._states[unit.party_run_id] = unit.status.state
        found = act_of(before, unit)
        if found is not None:
            await self._note(unit, *found)

    async def forget(self, unit: Unit, now: datetime) -> None:
        """Keep of the unit that it is never run again."""
        await super().forget(unit, now)
        self._states.pop(unit.party_run_id, None)

    async def save_approval(
        self, party_run_id: str, digest: str, asked_at: str, verdict: str
    ) -> None:
        """Store a question to the site's people, or its answer, and note it."""
        await super().save_approval(party_run_id, digest, asked_at, verdict)
        await self._record(
            f"approval.{verdict}",
            actor_kind="site",
            actor="operator",
            subject_kind="party_run",
            subject_id=party_run_id,
            digest=digest,
        )

    async def _note(
        self, unit: Unit, action: str, outcome: Outcome, detail: dict[str, str]
    ) -> None:
        spec = unit.spec
        await self._record(
            action,
            outcome=outcome,
            actor_kind="user" if spec.requested_by else "server",
            actor=spec.requested_by,
            subject_kind="party_run",
            subject_id=unit.party_run_id,
            run_id=spec.run_id,
            **{name: text[:_MAX_DETAIL] for name, text in detail.items() if text},
        )

    async def _record(self, action: str, **facts: Any) -> None:
        try:
            await self._audit.record(action, **facts)
        except (OSError, AuditUnreadable) as error:
            log.error("audit_not_written", action=action, error=str(error))  # noqa: TRY400  a sentence


def act_of(before: PartyRunState | None, unit: Unit) -> tuple[str, Outcome, dict[str, str]] | None:
    """Return action, outcome and facts of the unit's move from `before`, None if it says nothing.

    A unit that the agent had not journaled before has just been let in, or refused.
    """
    status = unit.status
    if status.state is before:
        return None
    if status.state is PartyRunState.REFUSED:
        facts = {"reason": str(status.reason), "why": status.message}
        return "run.refuse", Outcome.DENIED, facts
    if is_final(status.state):
        code = "" if status.exit_code is None else str(status.exit_code)
        facts = {"state": str(status.state), "reason": str(status.reason), "exit_code": code}
        return "run.end", Outcome.DONE, facts
    if status.state is PartyRunState.LAUNCHING:
        facts = {"image": unit.spec.image_url, "image_digest": status.image_digest}
        return "run.launch", Outcome.DONE, facts
    if before in (None, PartyRunState.PENDING):
        facts = {"image": unit.spec.image_url, "data": unit.spec.federated_data}
        return "run.admit", Outcome.DONE, facts
    return None
