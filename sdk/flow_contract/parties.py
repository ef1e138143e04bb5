"""Parties: the sites that take part, and what their agents offer."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What an agent says it has. `cpus` counts cores; `data_names` are the site's data.

    `coordinates`: runs whose template names no place for their coordinator may put it here.
    `direct_address` is where other sites' agents may dial this one's tunnels, host:port; "" means
    that they go through the relay.
    """

    runtime: str
    agent_version: str
    cpus: float = 0
    memory_bytes: int = 0
    gpu_ids: tuple[str, ...] = ()
    data_names: tuple[str, ...] = ()
    coordinates: bool = False
    direct_address: str = ""


@dataclass(frozen=True, kw_only=True)
class Party:
    """A site that has connected at least once. Times are aware UTC.

    A draining one takes no new work.
    """

    federated_id: str
    name: str
    connected: bool
    draining: bool = False
    inventory: Inventory
    first_seen_at: datetime
    last_seen_at: datetime
