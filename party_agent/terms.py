"""The server's own times as it tells them, and whether this agent's settings go with them."""

from dataclasses import dataclass

from flow_wire import agents_pb2


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a server says at the greeting; None where it doesn't say, as an older one."""

    lost_after_s: float | None
    return_grace_s: float | None


def read_terms(welcome: agents_pb2.Welcome) -> Terms:
    """Return the times of a welcome."""
    return Terms(
        lost_after_s=welcome.lost_after_ms / 1000 or None,
        return_grace_s=welcome.return_grace_ms / 1000 or None,
    )


def misfits(terms: Terms, *, keepalive_s: float, max_backoff_s: float) -> list[str]:
    """Return one sentence for each of the agent's settings that the server's contradict."""
    found = []
    # A silence that long, then an answer that stays out as long.
    if terms.lost_after_s is not None and 2 * keepalive_s > terms.lost_after_s:
        found.append(
            f"FEDFLOW_AGENT_KEEPALIVE_S={keepalive_s:g}: the server counts this agent as absent "
            f"after {terms.lost_after_s:g} s (FEDFLOW_SERVER_LOST_AFTER_S), before the agent "
            f"itself sees that its connection is dead; set {terms.lost_after_s / 3:g} or less"
        )
    if terms.return_grace_s is not None and max_backoff_s > terms.return_grace_s:
        found.append(
            f"FEDFLOW_AGENT_MAX_BACKOFF_S={max_backoff_s:g}: after an outage the server waits "
            f"{terms.return_grace_s:g} s for its agents (FEDFLOW_SERVER_RETURN_GRACE_S), and "
            "this one may come later and be lost meanwhile; lower it, or raise the server's"
        )
    return found
