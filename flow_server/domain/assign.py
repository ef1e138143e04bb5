"""From a stored run to what one agent is told."""

from collections.abc import Sequence

from flow_contract.assignments import Assignment, WorkloadSpec
from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_contract.runs import Snapshot


def assignment(
    *,
    party_run_id: str,
    run_id: str,
    task_id: str,
    order: int,
    federated_id: str,
    federated_data: str,
    rank: int,
    parties: Sequence[str],
    snapshot: Snapshot,
    desired: Desired,
    cause: Reason,
    requested_by: str = "",
    traceparent: str = "",
) -> Assignment:
    """Return the assignment of one party run."""
    template = snapshot.template
    return Assignment(
        spec=WorkloadSpec(
            party_run_id=party_run_id,
            run_id=run_id,
            task_id=task_id,
            order=order,
            federated_id=federated_id,
            rank=rank,
            parties=tuple(parties),
            image_url=template.image_url,
            workdir=template.workdir,
            command=template.command,
            env=template.env,
            epochs=snapshot.epochs,
            hyper_parameter=snapshot.hyper_parameter,
            enable_smpc=snapshot.enable_smpc,
            resources=template.resources,
            federated_data=federated_data,
            mounts=template.mounts,
            user=template.user,
            network=template.network,
            stop_grace_s=template.stop_grace_s,
            run_timeout_s=template.run_timeout_s,
            on_disconnect=template.on_disconnect,
            requested_by=requested_by,
            template_id=snapshot.template_id,
            template_name=template.name,
        ),
        desired=desired,
        cause=cause,
        traceparent=traceparent,
    )
