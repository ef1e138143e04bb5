"""What someone at the site said to each run that waits for a yes; kept over restarts.

A yes counts for exactly what was shown: the assignment and the image that the engine found for
it. Anything else under the same id is asked about anew.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flow_contract.assignments import WorkloadSpec
from party_agent.endings import WAITING_FOR_APPROVAL
from party_agent.journal import Journal
from party_agent.unit import Unit


class Verdict(StrEnum):
    """What was said."""

    AWAITED = "awaited"
    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One question to the site's people: about which run, what of it, since when (aware UTC)."""

    party_run_id: str
    digest: str
    asked_at: datetime
    verdict: Verdict = Verdict.AWAITED


class NotAsked(Exception):
    """Nobody waits for this answer: no such run, or it is not what was shown."""


def shown_digest(spec: WorkloadSpec, image_digest: str) -> str:
    """Return what stands for all that is shown of a run, the same in every process."""
    text = json.dumps([dataclasses.asdict(spec), image_digest], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Approvals:
    """Asks and remembers. An answer is on disk before anybody acts on it."""

    def __init__(
        self,
        journal: Journal,
        *,
        now: Callable[[], datetime],
        answered: Callable[[str], None],
    ) -> None:
        """Go on from what `journal` holds; `answered` is told of each answer's party run."""
        self._journal = journal
        self._answered = answered
        self._now = now
        self._known = {
            party_run_id: Approval(
                party_run_id=party_run_id,
                digest=digest,
                asked_at=datetime.fromisoformat(asked_at),
                verdict=Verdict(verdict),
            )
            for party_run_id, digest, asked_at, verdict in journal.approvals()
        }

    def awaited(self, unit: Unit) -> Approval | None:
        """Return the question that the unit waits for an answer to, None if it does not."""
        approval = self._known.get(unit.party_run_id)
        is_told = unit.status.message == WAITING_FOR_APPROVAL and not unit.is_to_stop
        is_open = approval is not None and approval.verdict is Verdict.AWAITED
        return approval if is_told and is_open else None

    async def ask(self, spec: WorkloadSpec, image_digest: str) -> Approval:
        """Return the question with its answer so far, asked now if it is a new one."""
        digest = shown_digest(spec, image_digest)
        known = self._known.get(spec.party_run_id)
        if known is None or known.digest != digest:
            known = Approval(party_run_id=spec.party_run_id, digest=digest, asked_at=self._now())
            await self._keep(known)
        return known

    async def answer(self, party_run_id: str, digest: str, *, is_granted: bool) -> None:
        """Keep the answer to what was shown under `digest`; the same one twice is fine.

        Raises:
            NotAsked: it is not what is asked, or it has another answer already.
        """
        known = self._known.get(party_run_id)
        verdict = Verdict.GRANTED if is_granted else Verdict.DENIED
        if known is None or known.digest != digest:
            raise NotAsked("what waits there now is not what was shown; look at it again")
        if known.verdict not in (Verdict.AWAITED, verdict):
            raise NotAsked(f"the answer was {known.verdict} already")
        await self._keep(dataclasses.replace(known, verdict=verdict))
        self._answered(party_run_id)

    def forget(self, party_run_id: str) -> None:
        """Forget a party run that the journal has forgotten."""
        self._known.pop(party_run_id, None)

    async def _keep(self, approval: Approval) -> None:
        await self._journal.save_approval(
            approval.party_run_id,
            approval.digest,
            approval.asked_at.isoformat(),
            approval.verdict.value,
        )
        self._known[approval.party_run_id] = approval
