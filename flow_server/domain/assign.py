"""From a stored run to what one agent is told."""

from typing import Any

from flow_contract.assignments import Assignment, WorkloadSpec
from flow_contract.coordination import RunRole
from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from flow_contract.runs import Snapshot
from flow_contract.templates import TemplateSpec
from flow_server.domain.rosters import Roster


def assignment(
    *,
    party_run_id: str,
    run_id: str,
    task_id: str,
    order: int,
    federated_id: str,
    federated_data: str,
    rank: int,
    roster: Roster,
    snapshot: Snapshot,
    desired: Desired,
    cause: Reason,
    role: RunRole = RunRole.PARTY,
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
            parties=roster.parties,
            epochs=snapshot.epochs,
            hyper_parameter=snapshot.hyper_parameter,
            enable_smpc=snapshot.enable_smpc,
            federated_data=federated_data,
            network=template.network,
            stop_grace_s=template.stop_grace_s,
            run_timeout_s=template.run_timeout_s,
            on_disconnect=template.on_disconnect,
            requested_by=requested_by,
            template_id=snapshot.template_id,
            template_name=template.name,
            role=role,
            peers=roster.peers(rank, role, mesh=bool(template.mesh)),
            coordinator_ports=template.coordinator.ports if template.coordinator else (),
            mesh=template.mesh,
            connect_timeout_s=template.connect_timeout_s,
            framework=template.framework,
            **_workload(template, role),
        ),
        desired=desired,
        cause=cause,
        traceparent=traceparent,
    )


def _workload(template: TemplateSpec, role: RunRole) -> dict[str, Any]:
    """Return what the container is made of, which each role has its own."""
    coordinator = template.coordinator
    if role is RunRole.PARTY or coordinator is None:
        return {
            "image_url": template.image_url,
            "workdir": template.workdir,
            "command": template.command,
            "env": template.env,
            "resources": template.resources,
            "mounts": template.mounts,
            "user": template.user,
        }
    return {
        "image_url": coordinator.image_url or template.image_url,
        "workdir": coordinator.workdir or template.workdir,
        "command": coordinator.command,
        "env": coordinator.env,
        "resources": coordinator.resources,
        # The template's mounts are the parties' data, and its user is one of its image.
        "mounts": (),
        "user": "" if coordinator.image_url else template.user,
    }
