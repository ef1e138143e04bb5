"""How the members of a run depend on one another, read once from its template. Pure."""

from enum import StrEnum

from flow_contract.coordination import Ends
from flow_contract.templates import TemplateSpec


class Coordination(StrEnum):
    """What one member's end means for the others.

    NONE: nothing, each party is by itself. MESH: they are needed by one another, and none of
    them coordinates. AFTER_PARTIES, BY_ITSELF: there is a coordinator that ends so, and all
    members are needed. DECIDES: there is one whose end is the run's.
    """

    NONE = "none"
    MESH = "mesh"
    AFTER_PARTIES = "after_parties"
    BY_ITSELF = "by_itself"
    DECIDES = "decides"


def coordination_of(template: TemplateSpec) -> Coordination:
    """Return how the members of a run of this template depend on one another."""
    coordinator = template.coordinator
    if coordinator is None:
        return Coordination.MESH if template.mesh else Coordination.NONE
    if coordinator.decides:
        return Coordination.DECIDES
    if coordinator.ends is Ends.BY_ITSELF:
        return Coordination.BY_ITSELF
    return Coordination.AFTER_PARTIES


def known(text: str) -> Coordination:
    """Return what is stored so; what newer code invented reads as no dependence."""
    try:
        return Coordination(text)
    except ValueError:
        return Coordination.NONE
