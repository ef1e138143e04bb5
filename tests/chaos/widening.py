"""What version 2 of the draw puts on top: every harm at every step in turn, limits, drains.

The fault of a seed is not thrown like a dice but dealt: any 300 seeds in a row hold them all.
"""

import random
from dataclasses import replace

from tests.chaos.place import LEASE_S, PRIVATE_SITE
from tests.chaos.schedule import CUTS, Fault, Harm, Limits, Schedule, Seed, Step

_ENDS = (Harm.KILL, Harm.RESTART, Harm.PAUSE)
_LINK_CUTS = (*CUTS, Harm.DROP)
_HARMS = {
    "process": {
        "agent": (*_ENDS, Harm.DRAIN),
        "server": _ENDS,
        "postgres": _ENDS,
        "link": _LINK_CUTS,
        "client": _LINK_CUTS,
        "party": (Harm.DRAIN,),
        "workload": (Harm.KILL, Harm.VANISH),
    },
    # The rest is the same over containers, and comes with version 1's faults.
    "docker": {"engine": _ENDS, "workload": (Harm.KILL, Harm.VANISH)},
}
# What is not there yet, or no longer, can't be hurt.
_WORKLOAD_STEPS = [step for step in Step if Step.CREATED <= step <= Step.ENDING]

Cell = tuple[str, Harm, Step]
CELLS: dict[str, list[Cell]] = {
    runtime: [
        (what, harm, step)
        for what, harms in kinds.items()
        for harm in harms
        for step in (_WORKLOAD_STEPS if what == "workload" else Step)
    ]
    for runtime, kinds in _HARMS.items()
}
# Prime, and so without a common divisor with how many there are: each has its turn.
_STRIDE = 101
# Longer than a site may take to see a reset, to wait as told, and to stop.
CUT_OFF_S = 8.0


def some_duration_s(rng: random.Random) -> float:
    """Return how long a fault lasts: mostly shorter, sometimes longer than a lease."""
    span = rng.random()
    if span < 0.7:
        return rng.uniform(0, 0.6)
    if span < 0.9:
        return rng.uniform(0.6, 2)
    return rng.uniform(LEASE_S + 0.5, LEASE_S + 2)


def repair_of(rng: random.Random, harm: Harm) -> str:
    """Return how a fault of this kind ends."""
    if harm is Harm.PAUSE:
        return "continue"
    if harm is Harm.SILENT:
        return rng.choice(("heal", "reset"))
    return "heal" if harm in _LINK_CUTS else "restart"


def cell_of(seed: Seed, runtime: str) -> Cell:
    """Return what the seed's first fault is; of six seeds in a row, five are for processes."""
    whole, rest = divmod(seed.number, 6)
    turn = whole if runtime == "docker" else whole * 5 + rest
    cells = CELLS[runtime]
    return cells[turn * _STRIDE % len(cells)]


def widened(base: Schedule) -> Schedule:
    """Return `base` with what version 2 adds, always the same."""
    rng = random.Random(f"2:{base.seed.number}")  # noqa: S311  the same every time is its purpose
    what, harm, step = cell_of(base.seed, base.kind.runtime)
    sites = base.sites
    if what == "engine":
        sites = tuple(sorted({*sites, PRIVATE_SITE}))
    at = PRIVATE_SITE if what == "engine" else rng.choice(sites)
    limits = _limits(rng)
    repeats = rng.choice((base.repeats, base.repeats, 1, 2))
    fault = Fault(
        step=step,
        at=at,
        jitter_s=round(rng.choice((0, 0, rng.uniform(0, 0.02), rng.uniform(0, 0.2))), 4),
        in_commit=rng.random() < 0.15 and what not in ("party", "workload"),
        part=_part(rng, what, at, base.kind.replicas),
        harm=harm,
        duration_s=round(some_duration_s(rng), 3),
        repair=repair_of(rng, harm),
    )
    wide = replace(
        base,
        sites=sites,
        faults=(fault,) if rng.random() < 0.3 else (fault, *base.faults),
        limits=replace(limits, on_nonzero_exit=bool(repeats) and rng.random() < 0.5),
        repeats=repeats,
        overrun=limits.run_timeout_s is not None and base.stop_at is None and rng.random() < 0.6,
    )
    if limits.stop_after_s is not None and what == "link" and harm is Harm.RESET:
        # Long enough to see that it is obeyed, and nothing else that might end the run.
        long = replace(fault, duration_s=limits.stop_after_s + CUT_OFF_S)
        wide = replace(wide, faults=(long,), stop_at=None, calm=True)
    if what == "workload" and step <= Step.RUNNING:
        # It must be there when it is hurt.
        wide = replace(wide, stop_at=None, calm=True)
    if wide.drains("agent"):
        # An agent that drains waits for the gate, and may not be waited for.
        wide = replace(wide, calm=False)
    return wide


def _limits(rng: random.Random) -> Limits:
    roll = rng.random()
    if roll < 0.15:
        return Limits(run_timeout_s=rng.choice((1, 2)))
    if roll < 0.4:
        return Limits(stop_after_s=rng.choice((1, 2)))
    return Limits()


def _part(rng: random.Random, what: str, at: int, replicas: int) -> str:
    if what in ("postgres", "client", "engine"):
        return what
    return f"{what}-{rng.randrange(replicas or 1) if what == 'server' else at}"
