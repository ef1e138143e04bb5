"""The rules of one site, as values; where a rule is None it restricts nothing.

Rules restrict, doors open: images, commands, users, templates and limits are free until a rule
says otherwise; data, the network and sessions are closed until one opens them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from flow_contract.templates import Network

Globs = tuple[str, ...]


class NetworkMode(StrEnum):
    """The widest network that a workload may ask for, each including the ones before."""

    NONE = "none"
    COORDINATOR = "coordinator"
    BRIDGE = "bridge"

    def includes(self, asked: Network) -> bool:
        """Say whether a template may ask for `asked` here."""
        order = [mode.value for mode in NetworkMode]
        return order.index(asked.value) <= order.index(self.value)

    @property
    def lets_meet(self) -> bool:
        """Say whether a run's members may meet: a coordinator, and the ports of a mesh."""
        return self is not NetworkMode.NONE


@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """Which images may run. `digests` are `sha256:…` of the images themselves."""

    allowed: Globs | None = None
    registries: Globs | None = None
    digests: tuple[str, ...] | None = None
    require_digest: bool = False

    @property
    def restrict(self) -> bool:
        """Whether any of them says anything."""
        lists = (self.allowed, self.registries, self.digests)
        return self.require_digest or any(each is not None for each in lists)


@dataclass(frozen=True, kw_only=True)
class CommandRules:
    """Which commands may run: a glob for each word, a last `**` for any further words.

    `env` are globs over the names of the variables that a template may set.
    """

    allowed: tuple[Globs, ...] | None = None
    env: Globs | None = None


@dataclass(frozen=True, kw_only=True)
class DataRule:
    """One data set: where it is (absolute), and the users who may name it."""

    path: Path
    users: Globs | None = None


@dataclass(frozen=True, kw_only=True)
class DataRules:
    """The site's data by name. Every path must lie in one of `roots` if there are any.

    `absolute_paths`: whether a path in one of the data sets may stand in for its name.
    """

    names: Mapping[str, DataRule] = field(default_factory=dict)
    roots: tuple[Path, ...] | None = None
    absolute_paths: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one run may have, and how many may be here at a time."""

    max_cpus: float | None = None
    max_memory_bytes: int | None = None
    max_gpus: int | None = None
    max_run_time_s: int | None = None
    max_concurrent_runs: int | None = None


@dataclass(frozen=True, kw_only=True)
class MayLeave:
    """What of a run may leave the site, and how many bytes of it in one run."""

    logs: bool = False
    logs_max_bytes: int | None = None
    metrics: bool = False
    metrics_max_bytes: int | None = None
    outputs: bool = False
    outputs_max_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalRules:
    """Whether someone at the site says yes to each run, and for how long it waits for that."""

    is_manual: bool = False
    timeout_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class TunnelRules:
    """How members of a run at other sites are met; that they are is `NetworkMode`'s to allow.

    Rates hold for each direction by itself: of all tunnels of the site, and of one run's.
    `listen` is where other sites may dial this one (host:port), `address` what they are told.
    `dial` are globs over the host:port that the agent may dial for tunnels.
    """

    max_bytes_per_s: int | None = None
    max_run_bytes_per_s: int | None = None
    max_connections: int | None = None
    listen: str = ""
    address: str = ""
    dial: Globs | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rules of a site."""

    images: ImageRules = ImageRules()
    commands: CommandRules = CommandRules()
    users: Globs | None = None
    templates: Globs | None = None
    data: DataRules = field(default_factory=DataRules)
    limits: Limits = Limits()
    network: NetworkMode = NetworkMode.NONE
    tunnel: TunnelRules = TunnelRules()
    may_leave: MayLeave = MayLeave()
    sessions: bool = False
    approval: ApprovalRules = ApprovalRules()


def quick_rules(data: Mapping[str, Path], *, allow_network: bool = False) -> Rules:
    """Return the rules of a site without a policy file: these data for everybody, and no limits.

    A path inside the data may be named instead of its name, what a run makes may leave, and its
    members may meet.
    """
    names = {name: DataRule(path=path) for name, path in data.items()}
    return Rules(
        data=DataRules(names=names, absolute_paths=True),
        network=NetworkMode.BRIDGE if allow_network else NetworkMode.COORDINATOR,
        may_leave=MayLeave(logs=True, metrics=True, outputs=True),
    )
