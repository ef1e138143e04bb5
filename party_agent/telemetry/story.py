"""One party run as spans of the trace that its start began: prepare, launch, run, report.

Told by the journal, which hears of every move before anybody else does, and of those that an
earlier agent made.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

from flow_contract.lifecycle import PartyRunState, is_final
from flow_tracing import OpenSpan, Tracing
from party_agent.unit import Unit

_SPANS: Final = {
    PartyRunState.PREPARING: "agent.prepare",
    PartyRunState.LAUNCHING: "agent.launch",
    PartyRunState.RUNNING: "agent.run",
}
_LAST: Final = "agent.report"


class Story:
    """Keeps one open span per traced party run at most."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._open: dict[str, tuple[str, OpenSpan]] = {}

    def moved(self, unit: Unit) -> None:
        """Take the unit's present state as where its story is."""
        if not self._tracing.is_on or not unit.traceparent:
            return
        party_run_id, state = unit.party_run_id, unit.status.state
        name = _LAST if is_final(state) else _SPANS.get(state, "")
        known = self._open.get(party_run_id)
        if known is not None and known[0] == name:
            return
        if known is not None:
            del self._open[party_run_id]
            failed = is_final(state) and state is not PartyRunState.SUCCEEDED
            known[1].end(error=unit.status.reason.value if failed else "")
        if name:
            self._begin(name, unit)

    def told(self, party_run_id: str) -> None:
        """Take note that the server has stored the newest report."""
        known = self._open.get(party_run_id)
        if known is not None and known[0] == _LAST:
            self.forget(party_run_id)

    def forget(self, party_run_id: str) -> None:
        """End what is open of a party run that is no more."""
        known = self._open.pop(party_run_id, None)
        if known is not None:
            known[1].end()

    def current(self, party_run_id: str) -> AbstractContextManager[object]:
        """Make what is open the parent of what begins inside the `with`."""
        known = self._open.get(party_run_id)
        return nullcontext() if known is None else known[1].current()

    def aclose(self) -> None:
        """End what is open: the next agent begins anew."""
        for party_run_id in list(self._open):
            self.forget(party_run_id)

    def _begin(self, name: str, unit: Unit) -> None:
        spec = unit.spec
        span = self._tracing.begin(
            name,
            parent=unit.traceparent,
            attributes={
                "fedflow.party": spec.federated_id,
                "fedflow.run_id": spec.run_id,
                "fedflow.party_run_id": spec.party_run_id,
                "fedflow.state": unit.status.state.value,
                "fedflow.reason": unit.status.reason.value,
            },
        )
        if span is not None:
            self._open[unit.party_run_id] = (name, span)
