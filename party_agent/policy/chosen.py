"""Which rules an agent follows: those of its file, or what its options say."""

import structlog

from party_agent.policy.rules import quick_rules
from party_agent.policy.watch import FixedPolicy, PolicyFile, PolicySource
from party_agent.settings import AgentSettings

log = structlog.get_logger()


def policy_of(settings: AgentSettings) -> PolicySource:
    """Return the rules that the settings name. Raises PolicyInvalid."""
    if settings.policy is None:
        return FixedPolicy(quick_rules(settings.data, allow_network=settings.allow_network))
    if settings.data or settings.allow_network:
        log.warning("options_overridden", by="policy", options=["data", "allow_network"])
    return PolicyFile(settings.policy.absolute())
