"""What one seed means: a run, how it ends, and the faults at the steps of its life."""

import random
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tests.chaos.place import GPUS, LEASE_S, PARTIES, Kind


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


CUTS = (Harm.RESET, Harm.SILENT, Harm.LATE, Harm.TRICKLE)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """At `step` of site `at`, `jitter_s` later, `harm` comes over `part` for `duration_s`.

    `part` is server-N, agent-N, postgres, client (its link) or link-N (an agent's).
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
class Schedule:
    """`stop_at` None lets the run end by itself; `rivals` runs want the same GPUs after it.

    `repeats`: how often a run that the infrastructure failed is made again.
    `calm`: the gate opens when everything up to then is repaired and the run is seen running.
    """

    seed: int
    kind: Kind
    sites: tuple[int, ...]
    work: Work
    stop_at: Step | None
    calm: bool
    rivals: int
    faults: tuple[Fault, ...]
    repeats: int = 0


def probe(kind: Kind) -> Schedule:
    """Return a run over everything there is, every GPU included, without a fault."""
    gpus = len(GPUS) if kind.runtime == "process" else 0
    work = Work(exit_codes=(0, 0, 0), deaf=False, polite=None, gpus=gpus, start_deadline_s=60)
    return Schedule(
        seed=-1,
        kind=kind,
        sites=tuple(range(len(PARTIES))),
        work=work,
        stop_at=None,
        calm=True,
        rivals=0,
        faults=(),
    )


# Containers cost more: one in six.
_KINDS = (
    (Kind(runtime="process", replicas=0), 3),
    (Kind(runtime="process", replicas=2), 2),
    (Kind(runtime="docker", replicas=1), 1),
)
KINDS = tuple(kind for kind, _ in _KINDS)
_ROUND = [kind for kind, weight in _KINDS for _ in range(weight)]


def kind_of(seed: int) -> Kind:
    return _ROUND[seed % len(_ROUND)]


def draw(seed: int) -> Schedule:
    """Return the schedule of `seed`, always the same."""
    rng = random.Random(seed)  # noqa: S311  the same every time is its purpose
    kind = kind_of(seed)
    sites = tuple(sorted(rng.sample(range(len(PARTIES)), rng.choice((1, 2, 3, 3)))))
    gpus = rng.choice((0, 0, 1, 2)) if kind.runtime == "process" else 0
    work = Work(
        exit_codes=tuple(rng.choice((0, 0, 0, rng.randint(1, 120))) for _ in PARTIES),
        deaf=rng.random() < 0.1,
        polite=rng.choice((None, 0, 3)),
        gpus=gpus,
        start_deadline_s=rng.choice((2, 60, 60)),
    )
    stop_at = rng.choice(list(Step)[: Step.RUNNING + 1]) if rng.random() < 0.35 else None
    return Schedule(
        seed=seed,
        kind=kind,
        sites=sites,
        work=work,
        stop_at=stop_at,
        calm=stop_at is None and rng.random() < 0.5,
        rivals=rng.choice((0, 1, 2)) if gpus else 0,
        faults=tuple(_fault(rng, kind, sites) for _ in range(rng.choice((1, 1, 2, 2, 3)))),
        # Drawn last: the seeds in regressions.txt must go on to mean what they meant.
        repeats=rng.choice((0, 0, 1)),
    )


def _fault(rng: random.Random, kind: Kind, sites: tuple[int, ...]) -> Fault:
    servers = [f"server-{number}" for number in range(kind.replicas or 1)]
    at = rng.choice(sites)
    agents = [f"agent-{at}"] * 4 + [f"agent-{rng.choice(sites)}"]
    links = [f"link-{at}"] * 3 + ["client"]
    part = rng.choice([*agents, *(servers * (4 // len(servers))), "postgres", "postgres", *links])
    if part.startswith(("link", "client")):
        harm = rng.choice(CUTS)
    else:
        harm = rng.choice((Harm.KILL, Harm.KILL, Harm.KILL, Harm.RESTART, Harm.PAUSE))
    span = rng.random()
    if span < 0.7:
        duration_s = rng.uniform(0, 0.6)
    elif span < 0.9:
        duration_s = rng.uniform(0.6, 2)
    else:
        duration_s = rng.uniform(LEASE_S + 0.5, LEASE_S + 2)
    return Fault(
        step=rng.choice(list(Step)),
        at=at,
        jitter_s=round(rng.choice((0, 0, rng.uniform(0, 0.02), rng.uniform(0, 0.2))), 4),
        in_commit=rng.random() < 0.2,
        part=part,
        harm=harm,
        duration_s=round(duration_s, 3),
        repair=_repair(rng, harm),
    )


def _repair(rng: random.Random, harm: Harm) -> str:
    if harm is Harm.PAUSE:
        return "continue"
    if harm is Harm.SILENT:
        return rng.choice(("heal", "reset"))
    return "heal" if harm in CUTS else "restart"
