"""How much of a run's outputs may leave its site: the operator's limits, then the site's rules.

Pure. Every version of a file counts: what has left has left.
"""

from dataclasses import dataclass

from party_agent.policy.rules import MayLeave

RULE_OUTPUTS = "leave.outputs"
RULE_MAX_BYTES = "leave.outputs_max_bytes"


@dataclass(frozen=True, kw_only=True)
class SiteCaps:
    """What the operator has set. `waiting_bytes`: of all files that were sent and wait to leave."""

    file_bytes: int
    run_bytes: int
    run_files: int
    waiting_bytes: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a file may leave: `rule` of the policy or the reason `why` says that it may not."""

    rule: str = ""
    why: str = ""

    @property
    def may_leave(self) -> bool:
        """Whether nothing is against it."""
        return not self.rule and not self.why


def judge(
    size_bytes: int, *, files: int, sent_bytes: int, caps: SiteCaps, rules: MayLeave
) -> Verdict:
    """Judge a file of which so much is known, after `files` others of `sent_bytes` in all."""
    if not rules.outputs:
        return Verdict(rule=RULE_OUTPUTS)
    if size_bytes > caps.file_bytes:
        return Verdict(why=f"more than the {caps.file_bytes} bytes that may leave in one file")
    if files >= caps.run_files:
        return Verdict(why=f"the site lets {caps.run_files} files of a run leave at most")
    if sent_bytes + size_bytes > caps.run_bytes:
        return Verdict(why=f"the site lets {caps.run_bytes} bytes of a run leave at most")
    if rules.outputs_max_bytes is not None and sent_bytes + size_bytes > rules.outputs_max_bytes:
        return Verdict(rule=RULE_MAX_BYTES)
    return Verdict()
