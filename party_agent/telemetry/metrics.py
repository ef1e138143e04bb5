"""Every metric of one agent, in a registry of its own: several agents may live in one process.

Labels take their values from lists in the code, so the number of series has a bound.
docs/observability.md has the same list for people.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from flow_contract.lifecycle import PartyRunState

# When each series began would double their number, and nobody asks it.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600)


class AgentMetrics:
    """Counters and gauges, by what they are about."""

    def __init__(self, *, version: str) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"fedflow_agent_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"fedflow_agent_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(
                f"fedflow_agent_{name}", text, labels, registry=registry, buckets=_SECONDS
            )

        gauge("build_info", "Always 1; the label is the version", "version").labels(version).set(1)
        self.connected = gauge("connected", "1 while there is a session with the server")
        self.sessions = counter("sessions", "Sessions that the server admitted")
        self.refusals = counter("connection_refusals", "Connections refused by the server", "code")

        self.units = gauge("party_runs", "Party runs held here", "state")
        for state in PartyRunState:
            self.units.labels(state.value)
        self.ended = counter("party_runs_ended", "Party runs that ended here", "state")
        self.policy_refusals = counter(
            "party_runs_refused", "Party runs that this site refused", "reason"
        )
        self.gpus = gauge("gpus", "GPUs that the agent may use")
        self.gpus_held = gauge("gpus_held", "GPUs that a party run holds")
        self.reports_unacknowledged = gauge(
            "reports_unacknowledged", "Party runs whose newest report the server has not stored"
        )

        self.runtime_calls = counter(
            "runtime_calls", "What the agent asked of its runtime", "call", "outcome"
        )
        self.runtime_s = histogram("runtime_call_seconds", "How long that took", "call")
        self.engine_calls = counter(
            "engine_calls", "Calls to the container engine", "call", "outcome"
        )
        self.engine_s = histogram("engine_call_seconds", "How long they took", "call")
        self.journal_s = histogram("journal_write_seconds", "Writes of the journal, on disk")

        self.log_captured_bytes = counter("log_captured_bytes", "What workloads wrote, framed")
        self.log_sent_bytes = counter(
            "log_sent_bytes", "Of it, sent to the server; what is sent twice counts twice"
        )
        self.log_dropped_bytes = counter(
            "log_dropped_bytes", "Lost at a cap or a full disk; counted when a log is complete"
        )
        self.log_spooled_bytes = gauge("log_spooled_bytes", "Logs on disk, not yet complete there")
        self.metric_points = counter("metric_points_stored", "Points that the server has stored")
        self.metric_points_dropped = gauge(
            "metric_points_dropped", "Points that workloads held here lost to the bounds"
        )
        self.tunnels = gauge("tunnels", "Connections of workloads to workloads at other sites")
        self.tunnels_ended = counter("tunnels_ended", "Those that were open and ended", "how")
        self.tunnel_refusals = counter("tunnel_refusals", "Those that did not come about", "reason")
        self.tunnel_bytes = counter("tunnel_bytes", "What workloads sent through", "direction")
        self.state_free_bytes = gauge("state_dir_free_bytes", "Free on the state directory's disk")
        self.certificate_expires_at = gauge(
            "certificate_expiry_timestamp_seconds", "When it expires; +Inf where there is none"
        )
        self.loop_lag_s = histogram("event_loop_lag_seconds", "How late the event loop wakes up")
        ProcessCollector(registry=registry)
