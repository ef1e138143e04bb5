"""The site's last word: which of its data, how much of it and which network a workload gets.

Every refusal names its rule and never a path of the site's own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flow_contract.assignments import WorkloadSpec
from flow_contract.reasons import Reason, sentence
from flow_contract.templates import Network
from party_agent.runtime.port import Bind, RuntimeRefused

DATA_TARGET = "/data"

RULE_DATA_NAMES = "data.names"
RULE_DATA_ROOTS = "data.roots"
RULE_NETWORK = "network"
RULE_CPUS = "resources.cpus"
RULE_MEMORY = "resources.memory_bytes"


@dataclass(frozen=True, kw_only=True)
class Site:
    """What this site offers. `data` maps names to existing real paths, the roots.

    `cpus` counts cores; 0 for it or `memory_bytes` means not known, and then not checked.
    """

    data: Mapping[str, Path] = field(default_factory=dict)
    allow_network: bool = False
    cpus: float = 0
    memory_bytes: int = 0


def check(site: Site, spec: WorkloadSpec) -> None:
    """Accept what the site's rules and size allow, data apart.

    Raises:
        RuntimeRefused: names the first rule that it breaks.
    """
    if spec.network is not Network.NONE and not site.allow_network:
        raise _refusal(
            Reason.POLICY_DENIED,
            RULE_NETWORK,
            f"workloads get no network here, and the template asks for '{spec.network}'",
        )
    cpus = spec.resources.cpus
    if cpus is not None and site.cpus and cpus > site.cpus:
        raise _refusal(
            Reason.RESOURCES_UNAVAILABLE,
            RULE_CPUS,
            f"{cpus:g} CPUs asked for, the site has {site.cpus:g}",
        )
    memory_bytes = spec.resources.memory_bytes
    if memory_bytes is not None and site.memory_bytes and memory_bytes > site.memory_bytes:
        raise _refusal(
            Reason.RESOURCES_UNAVAILABLE,
            RULE_MEMORY,
            f"{memory_bytes} bytes of memory asked for, the site has {site.memory_bytes}",
        )


def names_data(spec: WorkloadSpec) -> bool:
    """Say whether the site's disks have to be looked at."""
    return bool(spec.federated_data or spec.mounts)


def data_binds(site: Site, spec: WorkloadSpec) -> tuple[Bind, ...]:
    """Return the read-only binds for the party's data and the template's mounts.

    Raises:
        RuntimeRefused: a name is unknown, or a path leaves the roots.
    """
    wanted = [(mount.data_name, mount.target) for mount in spec.mounts]
    if spec.federated_data:
        wanted.insert(0, (spec.federated_data, DATA_TARGET))
    return tuple(Bind(source=resolve(site, name), target=target) for name, target in wanted)


def resolve(site: Site, name: str) -> Path:
    """Return the real path behind `name`, `name/below/it` or an absolute path in a root.

    Raises:
        RuntimeRefused: there is no such data, or it lies outside (also by way of a link).
    """
    if name.startswith("/"):
        return _inside(name, name, tuple(site.data.values()))
    head, _, below = name.partition("/")
    root = site.data.get(head)
    if root is None:
        raise _refusal(
            Reason.DATA_UNKNOWN, RULE_DATA_NAMES, f"this site offers no data named '{head}'"
        )
    return _inside(name, os.path.join(root, below) if below else root, (root,))  # noqa: PTH118  joined as text: the real path is taken below


def _inside(name: str, path: str | Path, roots: tuple[Path, ...]) -> Path:
    unknown = _refusal(Reason.DATA_UNKNOWN, RULE_DATA_NAMES, f"this site has no '{name}'")
    try:
        real = Path(os.path.realpath(path))
    except (ValueError, OSError):
        raise unknown from None
    # Outside comes first, so that nobody learns what exists there.
    if not any(real == root or real.is_relative_to(root) for root in roots):
        raise _refusal(
            Reason.DATA_OUTSIDE_ROOTS, RULE_DATA_ROOTS, f"'{name}' lies outside this site's data"
        )
    if not os.path.lexists(real):
        raise unknown
    return real


def _refusal(reason: Reason, rule: str, detail: str) -> RuntimeRefused:
    return RuntimeRefused(reason, sentence(reason, f"Rule {rule}: {detail}"))
