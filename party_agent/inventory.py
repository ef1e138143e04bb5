"""What an agent says of its site when it connects."""

from flow_contract.parties import Inventory
from party_agent.gpus import GpuInventory
from party_agent.policy.site import Site
from party_agent.version import version


def inventory_of(
    runtime_name: str, site: Site, gpus: GpuInventory, *, coordinates: bool = False
) -> Inventory:
    """Return how large the site is, what it runs with, and the names of its data.

    `coordinates`: it may be given the coordinators that no template has a place for.
    """
    return Inventory(
        runtime=runtime_name,
        agent_version=version(),
        cpus=site.cpus,
        memory_bytes=site.memory_bytes,
        gpu_ids=gpus.ids,
        data_names=tuple(sorted(site.rules.data.names)),
        coordinates=coordinates,
        direct_address=site.rules.tunnel.address,
    )
