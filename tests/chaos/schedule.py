"""What one seed means: a run, how it ends, and the faults at the steps of its life."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, Self

from tests.chaos.place import GPUS, PARTIES, Kind


class Step(IntEnum):
    """The steps of a run's life, in order; all but the driver's own are observed."""

    STARTING = 0
    PREPARING = 1
    CREATED = 2
    PREPARED = 3
    ORDERED = 4
    LAUNCHED = 5
    RUNNING = 6
    ENDING = 7
    ENDED = 8
    REPORTED = 9


class Harm(StrEnum):
    KILL = "kill"
    RESTART = "restart"
    PAUSE = "pause"
    RESET = "reset"
    SILENT = "silent"
    LATE = "late"
    TRICKLE = "trickle"
    # Packets vanish in the kernel: nobody is told, nothing new connects.
    DROP = "drop"
    # Takes no new work: an agent by its signal, a party by its server.
    DRAIN = "drain"
    # Removed behind its agent's back, the runtime's record of it included.
    VANISH = "vanish"


CUTS = (Harm.RESET, Harm.SILENT, Harm.LATE, Harm.TRICKLE)


# Bumped when the draw changes. What is drawn on top of it is the version's alone: a seed of an
# earlier one means what it meant.
VERSION = 3


class Seed(NamedTuple):
    """A number, and the version of the draw that it was found with."""

    number: int
    version: int = VERSION

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `817`, or `1:817` of an earlier version."""
        version, colon, number = text.strip().rpartition(":")
        return cls(int(number), int(version) if colon else VERSION)

    def __str__(self) -> str:
        earlier = "" if self.version == VERSION else f"{self.version}:"
        return f"{earlier}{self.number}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """At `step` of site `at`, `jitter_s` later, `harm` comes over `part` for `duration_s`.

    `part` is server-N, agent-N, postgres, client (its link), link-N (an agent's), party-N (as
    the server sees it), workload-N (what runs there) or engine (the private one of one site).
    `in_commit`: not before the next report is in the middle of its COMMIT.
    `repair`: restart, continue, heal, or heal by resetting what was silent.
    """

    step: Step
    at: int
    jitter_s: float
    in_commit: bool
    part: str
    harm: Harm
    duration_s: float
    repair: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """What each site runs: wait for the gate, then exit with its code.

    `deaf` ignores SIGTERM; `polite` is an exit code that it answers SIGTERM with, None for
    the shell's own way to die.
    """

    exit_codes: tuple[int, ...]
    deaf: bool
    polite: int | None
    gpus: int
    start_deadline_s: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the template says of time and failure; None for nothing."""

    run_timeout_s: int | None = None
    stop_after_s: int | None = None
    on_nonzero_exit: bool = False


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """`stop_at` None lets the run end by itself; `rivals` runs want the same GPUs after it.

    `repeats`: how often a run that the infrastructure failed is made again.
    `overrun`: the gate stays shut, and only the template's limit ends the run.
    `calm`: the gate opens when everything up to then is repaired and the run is seen running.
    `large`: how each workload's output of several parts leaves, "" where it has none.
    """

    seed: Seed
    kind: Kind
    sites: tuple[int, ...]
    work: Work
    stop_at: Step | None
    calm: bool
    rivals: int
    faults: tuple[Fault, ...]
    repeats: int = 0
    limits: Limits = Limits()
    overrun: bool = False
    large: str = ""

    def drains(self, what: str) -> set[int]:
        """Return the numbers of the agents, or parties, that some fault drains."""
        return {
            int(fault.part.partition("-")[2])
            for fault in self.faults
            if fault.harm is Harm.DRAIN and fault.part.startswith(what)
        }


def probe(kind: Kind) -> Schedule:
    """Return a run over everything there is, every GPU included, without a fault."""
    gpus = len(GPUS) if kind.runtime == "process" else 0
    work = Work(exit_codes=(0, 0, 0), deaf=False, polite=None, gpus=gpus, start_deadline_s=60)
    return Schedule(
        seed=Seed(-1),
        kind=kind,
        sites=tuple(range(len(PARTIES))),
        work=work,
        stop_at=None,
        calm=True,
        rivals=0,
        faults=(),
    )
