"""Making a new run of a task, whoever wants it."""

from collections.abc import Iterable

from flow_contract.ids import new_id
from flow_contract.templates import TemplateSpec
from flow_server.domain.placement import Presence
from flow_server.domain.start import StartPlan
from flow_server.storage import parties
from flow_server.storage.database import Connection
from flow_server.storage.new_runs import NewRun
from flow_server.storage.runs import Repeat
from flow_server.storage.tasks import LockedTask


def new_run(
    task: LockedTask,
    plan: StartPlan,
    *,
    requested_by: str,
    request_id: str = "",
    repeats: Repeat | None = None,
    traceparent: str = "",
) -> NewRun:
    """Return the planned run as the one that follows the locked task's newest."""
    return NewRun(
        run_id=new_id(),
        task_id=task.task_id,
        number=task.run_count + 1,
        requested_by=requested_by,
        plan=plan,
        party_run_ids=tuple(new_id() for _ in plan.party_runs),
        request_id=request_id,
        repeats=repeats,
        traceparent=traceparent,
    )


async def presence_of(
    connection: Connection, named: set[str], templates: Iterable[TemplateSpec]
) -> dict[str, Presence]:
    """Return how these parties, and those that the templates' coordinators go to, can take part.

    With a coordinator that is not bound to a party these are all whose agents coordinate.
    """
    places = {template.coordinator.party for template in templates if template.coordinator}
    present = await parties.presence_of(connection, list(named | places))
    return present | await parties.coordinating(connection) if "" in places else present
