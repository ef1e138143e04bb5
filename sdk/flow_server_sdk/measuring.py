"""The script of `task.metrics`: page after page, until all points are there."""

from typing import Any

from flow_contract.errors import FlowError
from flow_contract.metrics import MAX_LISTED, PartyMetrics
from flow_server_sdk import failures, methods, shapes
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import Link, Script, exchange, read
from flow_wire import metrics_pb2
from flow_wire.codec.metrics import decode_party_metrics


def metrics(  # noqa: PLR0917 - as the surface has them
    task_id: str,
    run_id: str | None,
    party: str | None,
    name: str | None,
    after: str | None,
    link: Link,
) -> Script:
    """Read all points that are asked for; None means the newest run, all parties, all names."""
    points: list[dict[str, Any]] = []
    dropped: dict[str, int] = {}
    withheld: dict[str, str] = {}
    try:
        request = metrics_pb2.ListMetricsRequest(
            task_id=forms.text("task_id", task_id),
            run_id=forms.text("run_id", run_id or ""),
            federated_id=forms.text("party", party or ""),
            name=forms.text("name", name or ""),
            after=forms.text("after", after or ""),
            limit=MAX_LISTED,
        )
        while True:
            reply = yield from exchange(methods.LIST_METRICS, request, link)
            for found in read(link, _parties, reply):
                points += shapes.points(found)
                dropped[found.federated_id] = found.dropped
                if found.withheld:
                    withheld[found.federated_id] = found.withheld
            # Should a new run begin meanwhile, the next page is still of this one.
            request.run_id, request.after = reply.run_id, reply.next
            if not reply.next:
                break
    except FlowError as error:
        return failures.answer(error)
    return shapes.success(
        {"run_id": reply.run_id, "points": points, "dropped": dropped, "withheld": withheld}
    )


def _parties(reply: metrics_pb2.ListMetricsResponse) -> list[PartyMetrics]:
    return [decode_party_metrics(party) for party in reply.parties]
