"""What version 3 of the draw puts on top: large outputs, and a fault while they go up."""

import random
from dataclasses import replace

from tests.chaos import teller
from tests.chaos.schedule import CUTS, Fault, Harm, Schedule, Step
from tests.chaos.widening import repair_of, some_duration_s

# As long as a large output takes on a busy machine.
_ON_ITS_WAY_S = 1.0


def with_outputs(base: Schedule) -> Schedule:
    """Return `base` with what version 3 adds, always the same."""
    rng = random.Random(f"3:{base.seed.number}")  # noqa: S311  the same every time is its purpose
    roll = rng.random()
    if roll >= 0.3:
        return base
    large = teller.SENT if roll < 0.15 else teller.LEFT
    fault = _fault(rng, base, large)
    if base.limits.stop_after_s is not None:
        # A site that is cut off for that long is to see nothing else.
        return replace(base, large=large)
    return replace(base, large=large, faults=(*base.faults, fault))


def _fault(rng: random.Random, base: Schedule, large: str) -> Fault:
    at = rng.choice(base.sites)
    server = f"server-{rng.randrange(base.kind.replicas or 1)}"
    part = rng.choice((f"agent-{at}", f"agent-{at}", server, server, "postgres", f"link-{at}"))
    cut = part.startswith("link")
    harm = rng.choice(CUTS if cut else (Harm.KILL, Harm.KILL, Harm.RESTART, Harm.PAUSE))
    return Fault(
        step=Step.LAUNCHED if large == teller.SENT else Step.ENDED,
        at=at,
        jitter_s=round(rng.uniform(0, _ON_ITS_WAY_S), 4),
        in_commit=False,
        part=part,
        harm=harm,
        duration_s=round(some_duration_s(rng), 3),
        repair=repair_of(rng, harm),
    )
