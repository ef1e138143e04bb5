"""The last questions about a prepared workload: is it an approved image, and did a person say yes?

They are asked when all else is done and again right before the launch, so that a yes is about
what really runs, and a rule that was tightened meanwhile still counts.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from party_agent.approvals import Approval, Approvals, Verdict
from party_agent.policy import decide
from party_agent.policy.images import digest_is_approved
from party_agent.policy.rules import Rules
from party_agent.unit import Unit


class Gate:
    """Lets units pass, wait or not pass, by the rules in force."""

    def __init__(
        self,
        *,
        rules: Callable[[], Rules],
        approvals: Approvals,
        now: Callable[[], datetime],
    ) -> None:
        self._rules = rules
        self._approvals = approvals
        self._now = now

    async def passes(self, unit: Unit) -> bool:
        """Say whether the prepared unit may go on; False means that it waits for a person.

        Raises:
            RuntimeRefused: it may not, or nobody said yes in time.
        """
        rules = self._rules()
        digest = unit.status.image_digest
        if not digest_is_approved(rules.images, unit.spec.image_url, digest):
            raise decide.refusal(decide.IMAGES_DIGESTS)
        if not rules.approval.is_manual:
            return True
        approval = await self._approvals.ask(unit.spec, digest)
        if approval.verdict is Verdict.DENIED:
            raise decide.refusal(decide.APPROVAL_MODE)
        if approval.verdict is Verdict.GRANTED:
            return True
        if self._left_s(approval) == 0:
            raise decide.refusal(decide.APPROVAL_TIMEOUT)
        return False

    def still_waits(self, unit: Unit) -> bool:
        """Say whether the unit was told to wait for a person, and nothing has come of it yet."""
        approval = self._awaited(unit)
        return approval is not None and self._left_s(approval) != 0

    def left_s(self, unit: Unit) -> float | None:
        """Return how long a unit that waits for a person may go on to; None for any time."""
        approval = self._awaited(unit)
        return None if approval is None else self._left_s(approval)

    def _awaited(self, unit: Unit) -> Approval | None:
        is_manual = self._rules().approval.is_manual
        return self._approvals.awaited(unit) if is_manual else None

    def _left_s(self, approval: Approval) -> float | None:
        timeout_s = self._rules().approval.timeout_s
        if timeout_s is None:
            return None
        end = approval.asked_at + timedelta(seconds=timeout_s)
        return max(0.0, (end - self._now()).total_seconds())
