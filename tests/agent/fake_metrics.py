"""The metrics' side of a small flow server: keeps points by number, as the real one does."""

from flow_wire import metrics_pb2 as pb
from flow_wire import metrics_pb2_grpc
from flow_wire.codec.metrics import decode_metric_batch


class FakeMetrics(metrics_pb2_grpc.MetricServiceServicer):
    """`values` are by party run. `note` runs a change and tells who waits."""

    def __init__(self, note):
        self._note = note
        self.values = {}
        self.dropped = {}
        self.withheld = {}
        self.pushes = 0
        self.refusal = None

    async def Push(self, request, context):  # noqa: N802  gRPC's name
        batch = decode_metric_batch(request.batch)
        known = self.values.setdefault(batch.party_run_id, [])

        def store():
            self.pushes += 1
            self.dropped[batch.party_run_id] = batch.dropped
            self.withheld[batch.party_run_id] = batch.withheld
            if self.refusal is None and batch.first_sequence <= len(known) + 1:
                known.extend(batch.points.values[len(known) - batch.first_sequence + 1 :])

        await self._note(store)
        if self.refusal is not None:
            await context.abort(self.refusal, "refused by the test")
        return pb.PushMetricsResponse(stored=len(known))
