"""How a seed becomes a schedule: the run, its end and the first faults."""

import random

from tests.chaos.place import PARTIES, Kind
from tests.chaos.schedule import CUTS, Fault, Harm, Schedule, Seed, Step, Work
from tests.chaos.uploading import with_outputs
from tests.chaos.widening import repair_of, some_duration_s, widened

# Containers cost more: one in six.
_KINDS = (
    (Kind(runtime="process", replicas=0), 3),
    (Kind(runtime="process", replicas=2), 2),
    (Kind(runtime="docker", replicas=1), 1),
)
KINDS = tuple(kind for kind, _ in _KINDS)
_ROUND = [kind for kind, weight in _KINDS for _ in range(weight)]


def kind_of(seed: Seed) -> Kind:
    return _ROUND[seed.number % len(_ROUND)]


def draw(seed: Seed) -> Schedule:
    """Return the schedule of `seed`, always the same."""
    drawn = _draw_first(seed)
    if seed.version >= 2:
        drawn = widened(drawn)
    if seed.version >= 3:
        drawn = with_outputs(drawn)
    return drawn


def _draw_first(seed: Seed) -> Schedule:
    """Return what version 1 drew, from which nothing may be drawn besides."""
    rng = random.Random(seed.number)  # noqa: S311  the same every time is its purpose
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
    duration_s = some_duration_s(rng)
    return Fault(
        step=rng.choice(list(Step)),
        at=at,
        jitter_s=round(rng.choice((0, 0, rng.uniform(0, 0.02), rng.uniform(0, 0.2))), 4),
        in_commit=rng.random() < 0.2,
        part=part,
        harm=harm,
        duration_s=round(duration_s, 3),
        repair=repair_of(rng, harm),
    )
