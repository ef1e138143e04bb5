"""The tunnels of one agent put together from its settings."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Protocol

from party_agent.clock import Clock
from party_agent.policy.rules import Rules
from party_agent.runtime.port import Runtime
from party_agent.settings import AgentSettings
from party_agent.tunnel.credentials import CredentialsOnDisk
from party_agent.tunnel.ends import Ends
from party_agent.tunnel.host import TunnelHost
from party_agent.tunnel.meeting import Meeting
from party_agent.tunnel.opening import Opener
from party_agent.tunnel.refusing import TunnelWatch
from party_agent.tunnel.thread import PumpThread


class HasRules(Protocol):
    """Knows the rules in force."""

    @property
    def rules(self) -> Rules:
        """The rules in force, as last read."""


def tunnels_of(
    settings: AgentSettings,
    *,
    runtime: Runtime,
    policy: HasRules,
    clock: Clock,
    watch: TunnelWatch,
) -> TunnelHost:
    """Return the tunnels that the settings make; nothing of them has begun."""
    opener = Opener()
    state_dir = settings.state_dir
    is_plain = settings.insecure or state_dir is None
    meeting = Meeting(
        server_host=settings.server.rpartition(":")[0], may_dial=may_dial(lambda: policy.rules)
    )
    return TunnelHost(
        runtime=runtime,
        opener=opener,
        thread=PumpThread(),
        ends=Ends(
            meeting=meeting,
            source=None if is_plain or state_dir is None else CredentialsOnDisk(state_dir),
            now=clock.now,
            idle_s=settings.tunnel_idle_s,
        ),
        rules=lambda: policy.rules,
        clock=clock,
        most=settings.tunnel_connections,
        watch=watch,
    )


def may_dial(rules: Callable[[], Rules]) -> Callable[[str], bool]:
    """Return the site's rule about the addresses that are dialled for tunnels, as it is then."""

    def may(address: str) -> bool:
        globs = rules().tunnel.dial
        return globs is None or any(fnmatchcase(address, glob) for glob in globs)

    return may
