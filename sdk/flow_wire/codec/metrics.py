"""Metrics on the wire: names are sent once, and the other columns packed."""

from flow_contract.errors import InvalidArgument
from flow_contract.metrics import MetricBatch, MetricPoints, PartyMetrics
from flow_wire import metrics_pb2


def encode_metric_points(points: MetricPoints) -> metrics_pb2.MetricPoints:
    """Contract to wire."""
    places = {name: place for place, name in enumerate(dict.fromkeys(points.names))}
    return metrics_pb2.MetricPoints(
        names=list(places),
        name=[places[name] for name in points.names],
        step=points.steps,
        at_us=points.at_us,
        value=points.values,
    )


def decode_metric_points(wire: metrics_pb2.MetricPoints) -> MetricPoints:
    """Wire to contract.

    Raises:
        InvalidArgument: a point names no name.
    """
    names = list(wire.names)
    if wire.name and max(wire.name) >= len(names):
        raise InvalidArgument("points.name: there is no such name", field="points.name")
    return MetricPoints(
        names=tuple(names[place] for place in wire.name),
        steps=tuple(wire.step),
        at_us=tuple(wire.at_us),
        values=tuple(wire.value),
    )


def encode_metric_batch(batch: MetricBatch) -> metrics_pb2.MetricBatch:
    """Contract to wire."""
    return metrics_pb2.MetricBatch(
        party_run_id=batch.party_run_id,
        first_sequence=batch.first_sequence,
        points=encode_metric_points(batch.points),
        dropped=batch.dropped,
        withheld=batch.withheld,
    )


def decode_metric_batch(wire: metrics_pb2.MetricBatch) -> MetricBatch:
    """Wire to contract.

    Raises:
        InvalidArgument: a point names no name.
    """
    return MetricBatch(
        party_run_id=wire.party_run_id,
        first_sequence=wire.first_sequence,
        points=decode_metric_points(wire.points),
        dropped=wire.dropped,
        withheld=wire.withheld,
    )


def encode_party_metrics(metrics: PartyMetrics) -> metrics_pb2.PartyMetrics:
    """Contract to wire."""
    return metrics_pb2.PartyMetrics(
        federated_id=metrics.federated_id,
        points=encode_metric_points(metrics.points),
        dropped=metrics.dropped,
        withheld=metrics.withheld,
    )


def decode_party_metrics(wire: metrics_pb2.PartyMetrics) -> PartyMetrics:
    """Wire to contract.

    Raises:
        InvalidArgument: a point names no name.
    """
    return PartyMetrics(
        federated_id=wire.federated_id,
        points=decode_metric_points(wire.points),
        dropped=wire.dropped,
        withheld=wire.withheld,
    )
