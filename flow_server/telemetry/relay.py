"""What the relay has counted in its thread, brought to the metrics when somebody looks."""

from flow_server.relay.counts import Refusal, RelayCounts
from flow_server.telemetry.metrics import ServerMetrics


class RelayMetrics:
    """Keeps the relay's metrics at what it has counted."""

    def __init__(self, metrics: ServerMetrics, counts: RelayCounts) -> None:
        self._metrics = metrics
        self._counts = counts
        self._shown = RelayCounts()
        metrics.relay_tunnels_now.set_function(lambda: counts.tunnels_now)
        metrics.relay_waiting_now.set_function(lambda: counts.waiting_now)
        metrics.relay_strangers_now.set_function(lambda: counts.strangers_now)

    def refresh(self) -> None:
        """Add what was counted since the last time."""
        shown, counts = self._shown, self._counts
        tunnels, carried_bytes = counts.tunnels, counts.carried_bytes
        self._metrics.relay_tunnels.inc(tunnels - shown.tunnels)
        self._metrics.relay_carried_bytes.inc(carried_bytes - shown.carried_bytes)
        shown.tunnels, shown.carried_bytes = tunnels, carried_bytes
        for why in Refusal:
            count = counts.refusals[why]
            self._metrics.relay_refusals.labels(why.value).inc(count - shown.refusals[why])
            shown.refusals[why] = count
