"""Points of one metric as curves, one per party. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Curve:
    """One party's values of a metric by step, in the order of steps."""

    party: str
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def curves(points: Iterable[dict[str, Any]]) -> dict[str, list[Curve]]:
    """Return by metric the curves of its parties; of two values of a step the later counts."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for point in points:
        found.setdefault(point["name"], {}).setdefault(point["party"], {})[point["step"]] = point[
            "value"
        ]
    return {
        name: [
            Curve(party=party, steps=sorted(values), values=[values[s] for s in sorted(values)])
            for party, values in parties.items()
        ]
        for name, parties in found.items()
    }
