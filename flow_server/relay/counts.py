"""What a relay has done so far: plain numbers, written by its thread and read by any."""

import enum
from dataclasses import dataclass, field


class Refusal(enum.StrEnum):
    """Why a connection to the relay led to no tunnel."""

    # The ticket is unknown or used, or the proof is wrong.
    REFUSED = "refused"
    ALONE = "alone"
    BUSY = "busy"
    # Gone before the other side came.
    LEFT = "left"
    # No proof in time, or gone without one.
    SILENT = "silent"
    # Made room for newer ones.
    CROWDED_OUT = "crowded_out"


@dataclass(kw_only=True)
class RelayCounts:
    """`carried_bytes` counts each byte once; the last three are how many there are now."""

    tunnels: int = 0
    carried_bytes: int = 0
    refusals: dict[Refusal, int] = field(default_factory=lambda: dict.fromkeys(Refusal, 0))
    strangers_now: int = 0
    waiting_now: int = 0
    tunnels_now: int = 0
