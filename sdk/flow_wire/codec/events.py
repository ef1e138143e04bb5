"""Events on the wire."""

from flow_contract.events import Event, EventFilter, EventRequest
from flow_wire import events_pb2
from flow_wire.codec.enums import EVENT_KIND
from flow_wire.codec.times import decode_required_time, encode_time


def encode_event(event: Event) -> events_pb2.Event:
    """Contract to wire."""
    wire = events_pb2.Event(
        token=event.token,
        event_id=event.event_id,
        kind=EVENT_KIND.encode(event.kind),
        side=event.side,
        from_value=event.from_value,
        to_value=event.to_value,
        reason=event.reason,
        task_id=event.task_id,
        run_id=event.run_id,
        party_run_id=event.party_run_id,
        federated_id=event.federated_id,
    )
    encode_time(wire.at, event.at)
    return wire


def decode_event(wire: events_pb2.Event) -> Event:
    """Wire to contract.

    Raises:
        InvalidArgument: the kind is not a known one, or the time can't be read.
    """
    return Event(
        token=wire.token,
        event_id=wire.event_id,
        kind=EVENT_KIND.decode(wire.kind, "kind"),
        side=wire.side,
        from_value=wire.from_value,
        to_value=wire.to_value,
        reason=wire.reason,
        at=decode_required_time(wire, "at"),
        task_id=wire.task_id,
        run_id=wire.run_id,
        party_run_id=wire.party_run_id,
        federated_id=wire.federated_id,
    )


def encode_event_request(request: EventRequest) -> events_pb2.WatchEventsRequest:
    """Contract to wire."""
    wanted = request.wanted
    return events_pb2.WatchEventsRequest(
        token=request.token,
        from_beginning=request.from_beginning,
        since_run_id=request.since_run_id,
        task_ids=sorted(wanted.task_ids),
        run_id=wanted.run_id,
        federated_ids=sorted(wanted.federated_ids),
        kinds=[EVENT_KIND.encode(kind) for kind in sorted(wanted.kinds)],
    )


def decode_event_request(wire: events_pb2.WatchEventsRequest) -> EventRequest:
    """Wire to contract.

    Raises:
        InvalidArgument: a kind is not a known one.
    """
    return EventRequest(
        token=wire.token,
        from_beginning=wire.from_beginning,
        since_run_id=wire.since_run_id,
        wanted=EventFilter(
            task_ids=frozenset(wire.task_ids),
            run_id=wire.run_id,
            federated_ids=frozenset(wire.federated_ids),
            kinds=frozenset(EVENT_KIND.decode(kind, "kinds") for kind in wire.kinds),
        ),
    )
