"""What passes between server and agent about one party run: assignment down, report up."""

from dataclasses import dataclass, field
from datetime import datetime

from flow_contract.coordination import (
    Framework,
    Peer,
    PeerProgress,
    PortRange,
    RunRole,
    Traffic,
)
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import Mount, Network, OnDisconnect, Resources


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """All that an agent needs to run its share; never changes during a party run.

    `order` grows with every start on the server: queues at a site are served in it.
    `parties` are the run's party ids by rank. `requested_by` is the name of the user who started
    the run, empty where users are not asked who they are.

    `peers` are the other members of the run that this one may meet: with a mesh all of them, else
    the coordinator for a party and the parties for a coordinator. A coordinator's own command,
    image, environment and resources stand here as a party's do; its `rank` is the number of
    parties. `coordinator_ports` and `mesh` are the run's, the same for every member.
    """

    party_run_id: str
    run_id: str
    task_id: str
    order: int
    federated_id: str
    rank: int
    parties: tuple[str, ...]
    image_url: str
    workdir: str = ""
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    epochs: int = 10
    hyper_parameter: tuple[str, ...] = ()
    enable_smpc: bool = False
    resources: Resources = Resources()
    federated_data: str = ""
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    network: Network = Network.NONE
    stop_grace_s: int = 10
    run_timeout_s: int | None = None
    on_disconnect: OnDisconnect = OnDisconnect()
    requested_by: str = ""
    template_id: str = ""
    template_name: str = ""
    role: RunRole = RunRole.PARTY
    peers: tuple[Peer, ...] = ()
    coordinator_ports: tuple[int, ...] = ()
    mesh: tuple[PortRange, ...] = ()
    connect_timeout_s: int = 60
    framework: Framework = Framework.NONE


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """How far the server wants one party run to go, and why if that is `stopped`.

    `traceparent` is the trace of the start (W3C Trace Context), empty where it is not traced.
    """

    spec: WorkloadSpec
    desired: Desired
    cause: Reason = Reason.NONE
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an agent observed of one party run.

    `sequence` grows by one with every report of the party run and survives an agent restart:
    (party run, sequence) is the key under which a repeated report is recognised.
    Fields are the newest known values, not differences. Times are aware UTC. The epochs and
    `note` are what the workload says of itself, None and empty while it has said nothing.
    `traffic` is with each peer that there was any with, `peer_progress` what a coordinator says.
    """

    party_run_id: str
    sequence: int
    state: PartyRunState
    reason: Reason = Reason.NONE
    message: str = ""
    exit_code: int | None = None
    gpu_ids: tuple[str, ...] = ()
    image_digest: str = ""
    observed_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    current_epoch: int | None = None
    total_epoch: int | None = None
    note: str = ""
    traffic: tuple[Traffic, ...] = ()
    peer_progress: tuple[PeerProgress, ...] = ()
