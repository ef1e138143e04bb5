"""Every metric of one server, in a registry of its own: several servers may live in one process.

Labels take their values from lists in the code, never from what users or sites choose, so the
number of series has a bound. docs/observability.md has the same list for people.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

# When each series began would double their number, and nobody asks it.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Taken, refused for what it asks, or not to be answered by this server now.
OUTCOMES = ("accepted", "refused", "failed")
_REPORTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class ServerMetrics:
    """Counters and gauges, by what they are about."""

    def __init__(self, *, version: str) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"fedflow_server_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"fedflow_server_{name}", text, labels, registry=registry)

        def histogram(
            name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
        ) -> Histogram:
            return Histogram(
                f"fedflow_server_{name}", text, labels, registry=registry, buckets=buckets
            )

        gauge("build_info", "Always 1; the label is the version", "version").labels(version).set(1)
        self.ready = gauge("ready", "1 while /readyz says ok, as last asked by the server itself")

        self.connected_agents = gauge("connected_agents", "Agents connected to this replica")
        self.sessions_opened = counter("agent_sessions_opened", "Agent connections admitted")
        self.sessions_closed = counter("agent_sessions_closed", "Agent connections that ended")
        self.lease_renewals = counter(
            "lease_renewals", "Rounds of renewing this replica's leases", "outcome"
        )

        self.rpcs = counter("rpcs", "Calls that have ended", "method", "code")
        self.rpc_s = histogram("rpc_seconds", "Calls with one answer", "method")
        self.rpcs_in_progress = gauge("rpcs_in_progress", "Calls that have not ended", "method")

        self.starts = counter("starts", "Starts of tasks", "outcome")
        self.start_s = histogram("start_seconds", "From a start's request to its answer")
        self.stops = counter("stops", "Stops of tasks", "outcome")
        self.reports = counter("reports", "Reports of agents that were stored")
        self.report_batch = histogram(
            "report_batch_reports", "Reports stored in one transaction", buckets=_REPORTS
        )

        self.log_received_bytes = counter("log_received_bytes", "Logs stored, compressed")
        self.log_received_raw_bytes = counter("log_received_raw_bytes", "The same, unpacked")
        self.log_sent_bytes = counter("log_sent_bytes", "Logs read by users, compressed")
        self.metric_points = counter("metric_points", "Metric points of workloads received")
        self.output_received_bytes = counter("output_received_bytes", "Outputs received")
        self.output_sent_bytes = counter("output_sent_bytes", "Outputs downloaded by users")
        self.audit_entries = counter("audit_entries", "Acts recorded in the audit log", "outcome")

        self.relay_tunnels = counter("relay_tunnels", "Connections of workloads through the relay")
        self.relay_carried_bytes = counter("relay_carried_bytes", "What they carried, encrypted")
        self.relay_refusals = counter(
            "relay_refusals", "Dials of the relay that led to no connection", "reason"
        )
        self.relay_tunnels_now = gauge("relay_open_tunnels", "Connections through it, now")
        self.relay_waiting_now = gauge("relay_waiting", "Agents that wait there for another, now")
        self.relay_strangers_now = gauge(
            "relay_strangers", "Who dialled it and has proven nothing yet, now"
        )

        self.loop_success_at = gauge(
            "loop_last_success_timestamp_seconds", "When a periodic loop last did its round", "loop"
        )
        self.loop_failures = counter("loop_failures", "Failures of background loops", "loop")
        self.loop_running = gauge("loop_running", "0 while a loop waits after a failure", "loop")

        self.database_up = gauge("database_up", "1 if the database answered when last asked")
        self.database_in_use = gauge("database_connections_in_use", "Of the pool, now")
        self.database_limit = gauge("database_connections_limit", "How many the pool may have")
        self.database_wait_s = histogram("database_wait_seconds", "Waits for a connection")
        self.database_errors = counter("database_errors", "Transactions that failed", "kind")

        self.active_runs = gauge("active_runs", "Runs that have not ended", "status")
        self.recent_runs = gauge(
            "runs_ended_last_hour", "Runs that ended within the last hour", "status"
        )
        self.active_party_runs = gauge("active_party_runs", "Shares of runs, not ended", "state")
        self.parties = gauge("parties", "Parties, of all replicas", "presence")
        self.census_at = gauge(
            "census_timestamp_seconds", "When runs and parties were last counted"
        )

        self.loop_lag_s = histogram("event_loop_lag_seconds", "How late the event loop wakes up")
        ProcessCollector(registry=registry)
        # There from the beginning: what appears with its first failure alarms nobody.
        for outcome in OUTCOMES:
            self.starts.labels(outcome)
            self.stops.labels(outcome)
