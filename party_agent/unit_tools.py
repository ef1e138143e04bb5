"""What the loops of one agent's party runs are given to work with."""

from collections.abc import Callable
from dataclasses import dataclass

from party_agent.clock import Clock
from party_agent.contact import Contact
from party_agent.controller import Controller
from party_agent.gate import Gate
from party_agent.gpus import GpuAllocator
from party_agent.journal import Journal
from party_agent.policy.rules import Rules
from party_agent.reporter import Reporter
from party_agent.tunnel.port import Tunnels
from party_agent.workload_api.host import ApiHost


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the loops of one agent share. `gpus_freed` is told when a unit gave its GPUs up."""

    controller: Controller
    journal: Journal
    reporter: Reporter
    gpus: GpuAllocator
    clock: Clock
    contact: Contact
    rules: Callable[[], Rules]
    gate: Gate
    api: ApiHost
    tunnels: Tunnels
    gpus_freed: Callable[[], None]
