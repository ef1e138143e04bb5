"""The port behind which a site runs workloads.

Every verb may be repeated: a crash can come between any two of them, and the second call
finds what the first one left. A workload is known by its party-run id; its container (or
process) carries that id in its name, so a second `launch` adopts the first.

Invariant: `launch` is the only verb that lets the workload's first instruction run, and at
most one workload per party-run id ever starts.
"""

import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from flow_contract.coordination import PortRange
from flow_contract.reasons import Reason
from flow_contract.templates import Network, Resources


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A host path that the workload sees at `target`; read-only unless `writable`.

    `is_agents`: the agent made it for this workload; it is no data of the site.
    """

    source: Path
    target: str
    writable: bool = False
    is_agents: bool = False


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Another member of the run that a workload may dial: by `name`, at each of `ports`.

    `number` is the same for this member everywhere in the run: 1 is the coordinator, a party's
    is its rank + 2. A workload is a neighbour of itself as well.
    """

    name: str
    number: int
    ports: tuple[PortRange, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Workload:
    """All that a runtime needs; made by the agent from an assignment and the site's choices.

    `gpu_ids` are the ids that the agent assigned, never a count. `env` is complete.
    `binds` holds the data, `/output` and further mounts; sources exist.
    `labels` go onto the container as they are.
    """

    party_run_id: str
    image_url: str
    workdir: str
    command: tuple[str, ...]
    env: dict[str, str]
    binds: tuple[Bind, ...]
    resources: Resources
    gpu_ids: tuple[str, ...]
    user: str
    network: Network
    labels: dict[str, str]
    # Where what it writes to stdout and stderr is appended as framed records
    # (flow_contract.log_records), the directory of it exists; None keeps no log for the server.
    # When `remove` returns, nothing is missing in it but what a mark tells of.
    log: Path | None = None
    log_max_bytes: int = 0
    # For this log and those beside it together, 0 for any number: `log` is DIRECTORY/ID/log.
    log_site_max_bytes: int = 0
    # Whom it may dial, and itself, for its own name; empty means nobody, and no sockets. With any,
    # `network` is NONE.
    neighbours: tuple[Neighbour, ...] = ()
    own_name: str = ""


class Phase(StrEnum):
    """What a runtime knows of one workload."""

    PREPARED = "prepared"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One workload as the runtime sees it now. Times are aware UTC, from the runtime itself.

    `exit_code` is None unless exited, and None too if nobody recorded it. A process ended by
    signal n has exit code 128 + n. `oom_killed` is also true when only a child was killed.
    `reason` is set where the runtime knows more than the exit code tells: COMMAND_NOT_FOUND
    for an exit 126 or 127 that means "could not be executed" and not the workload's own words.
    """

    party_run_id: str
    phase: Phase
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    image_digest: str = ""
    reason: Reason = Reason.NONE


@dataclass(frozen=True, kw_only=True)
class PulledImage:
    """An image that a runtime pulled: the name it was asked for, and the engine's id of it."""

    reference: str
    image_id: str


class RuntimeRefused(Exception):
    """This workload can't run here, and asking again won't help.

    A `prepare` that is refused leaves nothing behind. A `launch` leaves what there is to
    `remove`: who is killed before writing the refusal down asks again, and must be told the same.

    `reason` is the code that the researcher sees, the text one sentence for them.
    `exit_code` is given where the runtime reports one for a start that failed (127, 126).
    """

    def __init__(self, reason: Reason, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.exit_code = exit_code


class RuntimeUnavailable(Exception):
    """The runtime can't answer now (engine down, time-out); the same call may work later."""


class RuntimeUnusable(RuntimeUnavailable):
    """The runtime can't answer until somebody changes something about this machine."""


@dataclass(frozen=True, kw_only=True)
class Dialled:
    """A connection that a workload has opened to a neighbour: the agent's end of it.

    `stream` is a connected, non-blocking stream socket (TCP or unix); who gets it closes it.
    """

    stream: socket.socket
    neighbour: str
    port: int


class Sockets(Protocol):
    """The sockets that the agent has beside one workload, in its network and nobody else's."""

    async def dialled(self) -> Dialled:
        """Return the next connection that the workload opens to a neighbour's declared port.

        Raises:
            RuntimeUnavailable: there are no sockets any more: the workload's network is gone.
        """

    async def dial(self, port: int) -> socket.socket:
        """Return a connected, non-blocking stream socket to the workload's own `port`.

        Raises:
            ConnectionRefusedError: nobody listens there (yet).
            RuntimeUnavailable: the workload's network is gone, or the runtime can't answer now.
        """

    async def aclose(self) -> None:
        """Take no further connection; those that were handed out stay. May be called twice."""


Progress = Callable[[Reason, str], None]
"""Told while `prepare` waits for something visible, such as an image pull."""


class Runtime(Protocol):
    """Runs workloads. All methods are safe to repeat and to cancel."""

    name: str

    async def open(self) -> None:
        """Connect and start watching. Raises RuntimeUnavailable if nothing answers."""

    async def aclose(self) -> None:
        """Stop watching and release local resources; workloads run on. May be called twice."""

    async def prepare(self, workload: Workload, progress: Progress) -> str:
        """Do everything that can fail before the start: image, sandbox, container created.

        Returns the image digest ("" where there is none).

        Raises:
            RuntimeRefused: this site can't run it; nothing is left behind.
            RuntimeUnavailable: try again later.
        """

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:
        """Return by what host name or address the workload reaches the neighbour; pure.

        For itself: at what address it listens so that its neighbours reach it, and it alone.
        """

    def path_of(self, bind: Bind) -> str:
        """Return by what path a workload sees what `bind` gives it; pure."""

    async def sockets(self, workload: Workload) -> Sockets:
        """Open the workload's sockets, so that who dials a neighbour reaches the agent.

        After `prepare` and before `launch`, so that they are there before its first instruction;
        again after a restart of the agent. `neighbours` is not empty.

        Raises:
            RuntimeRefused: they can't be opened here.
            RuntimeUnavailable: try again later.
        """

    async def launch(self, workload: Workload) -> Observation:
        """Start what was prepared, or adopt it if it already runs or has ended.

        Raises:
            RuntimeRefused: it can't start (command not found, no such GPU), now or ever; a
                second launch is refused in the same way until `remove`.
            RuntimeUnavailable: try again later.
        """

    async def inspect(self, party_run_id: str) -> Observation | None:
        """Return what there is, None if there is nothing of this id."""

    async def list(self) -> list[Observation]:
        """Return every workload of this agent, ended ones that were not removed included."""

    async def stop(self, party_run_id: str, grace_s: float) -> None:
        """SIGTERM, up to `grace_s` seconds, then SIGKILL; returns when it has ended.

        A workload that is not there or never started counts as stopped.
        """

    async def remove(self, party_run_id: str) -> None:
        """Forget the workload and all that `prepare` made for it; nothing there is fine."""

    def exits(self) -> AsyncIterator[str]:
        """Yield the party-run id of each workload soon after it ended, in order of ending.

        At least once for everything that ends between `open` and `aclose`. One consumer.
        """

    def pulls(self) -> AsyncIterator[PulledImage]:
        """Yield each image soon after this runtime pulled it. One consumer."""

    async def remove_image(self, image: PulledImage) -> bool:
        """Remove an image that a runtime of this agent pulled; False while anything uses it.

        True too if it is gone, or its name belongs to another image by now, which stays.

        Raises:
            RuntimeUnavailable: try again later.
        """

    async def tidy(self) -> None:
        """Remove what this agent's runtime made and no workload uses, as a crash may leave it.

        Workloads themselves stay, known or not, and so does everything that somebody else made.

        Raises:
            RuntimeUnavailable: try again later.
        """
