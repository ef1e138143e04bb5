"""Values of events and webhooks."""

from hypothesis import strategies as st

from flow_contract.events import Event, EventFilter, EventKind, EventRequest
from flow_contract.webhooks import Delivery, Webhook
from tests.wire.strategies import int32, int64, maybe, text, times

_kinds = st.sampled_from(EventKind)
_ids = st.frozensets(text, max_size=3)

events = st.builds(
    Event,
    token=text,
    event_id=int64,
    kind=_kinds,
    side=text,
    from_value=text,
    to_value=text,
    reason=text,
    at=times,
    task_id=text,
    run_id=text,
    party_run_id=text,
    federated_id=text,
)
event_requests = st.builds(
    EventRequest,
    wanted=st.builds(
        EventFilter,
        task_ids=_ids,
        run_id=text,
        federated_ids=_ids,
        kinds=st.frozensets(_kinds),
    ),
    token=text,
    from_beginning=st.booleans(),
    since_run_id=text,
)
webhooks = st.builds(
    Webhook,
    webhook_id=text,
    owner=text,
    of_all=st.booleans(),
    task_id=text,
    url=text,
    created_at=times,
)
deliveries = st.builds(
    Delivery,
    delivery_id=text,
    webhook_id=text,
    event_id=int64,
    attempts=int32,
    created_at=times,
    next_at=maybe(times),
    delivered_at=maybe(times),
    given_up_at=maybe(times),
    http_status=int32,
    problem=text,
)
