"""Templates: what to run. What of it can be stored and run says `template_checks`."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from flow_contract.coordination import Ends, Framework, PortRange

DEFAULT_START_DEADLINE_S = 60
DEFAULT_PREPARE_DEADLINE_S = 3600
DEFAULT_STOP_GRACE_S = 10
DEFAULT_CONNECT_TIMEOUT_S = 60


class Network(StrEnum):
    """What a workload may reach: nothing, or the engine's bridge if the site allows it too."""

    NONE = "none"
    BRIDGE = "bridge"


@dataclass(frozen=True, kw_only=True)
class GpuRequest:
    """GPUs for one party run: any `count` of them, or exactly `device_ids`, never both.

    `capabilities` are the driver features that the engine is asked for.
    """

    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ("gpu",)

    @property
    def size(self) -> int:
        """How many GPUs this asks for."""
        return len(self.device_ids) or self.count


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Limits of one party run; None means no limit but the site's (for `pids` it has one)."""

    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    shm_bytes: int | None = None
    gpus: GpuRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Site data `data_name`, read-only at `target` (absolute path in the container)."""

    data_name: str
    target: str


@dataclass(frozen=True, kw_only=True)
class OnDisconnect:
    """What a site does with a running workload when it has lost the server.

    `stop_after_s` seconds without contact it stops it by itself; None keeps it running.
    """

    stop_after_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a failed run is started again, as a new run of the task.

    At most `max_retries` times, after `backoff_s` seconds, doubled with each further one. Only
    faults of the infrastructure count, unless `on_nonzero_exit`: then a workload's own failure
    does too.
    """

    max_retries: int = 0
    backoff_s: int = 10
    on_nonzero_exit: bool = False


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """One container beside the parties' that they talk to as `coordinator`.

    `image_url` and `workdir` "" mean the template's. `ports` are what the parties may reach of
    it. `party` "" means an agent that was started to coordinate. With `decides` its end is the
    run's: the parties are stopped then, and its exit code alone says how the run went.
    """

    image_url: str = ""
    workdir: str = ""
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    ports: tuple[int, ...] = ()
    party: str = ""
    ends: Ends = Ends.AFTER_PARTIES
    decides: bool = False


@dataclass(frozen=True, kw_only=True)
class TemplateSpec:
    """All that a user writes into a template. `hyper_parameter` None means left out.

    `mesh` are the ports under which the run's members reach each party's container. A party
    waits `connect_timeout_s` for its coordinator to listen.
    """

    name: str
    image_url: str
    workdir: str = ""
    command: tuple[str, ...] = ()
    remark: str = ""
    hyper_parameter: tuple[str, ...] | None = None
    resources: Resources = Resources()
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    network: Network = Network.NONE
    start_deadline_s: int = DEFAULT_START_DEADLINE_S
    prepare_deadline_s: int = DEFAULT_PREPARE_DEADLINE_S
    stop_grace_s: int = DEFAULT_STOP_GRACE_S
    run_timeout_s: int | None = None
    on_disconnect: OnDisconnect = OnDisconnect()
    retry: RetryPolicy = RetryPolicy()
    coordinator: Coordinator | None = None
    mesh: tuple[PortRange, ...] = ()
    connect_timeout_s: int = DEFAULT_CONNECT_TIMEOUT_S
    framework: Framework = Framework.NONE


@dataclass(frozen=True, kw_only=True)
class Template:
    """A stored template. Times are aware UTC.

    `owner` is the user who made it, empty where users were not asked who they are.
    """

    template_id: str
    spec: TemplateSpec
    create_time: datetime
    modify_time: datetime
    owner: str = ""
