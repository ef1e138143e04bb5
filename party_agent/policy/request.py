"""What a site is asked for: the part of an assignment that its rules judge, as a value."""

from dataclasses import dataclass

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Ends
from flow_contract.errors import InvalidArgument
from flow_contract.template_checks import check_template
from flow_contract.templates import Coordinator, Network, Resources, TemplateSpec
from party_agent.policy.peers import malformed_peers


@dataclass(frozen=True, kw_only=True)
class Request:
    """One party run as it is asked for.

    `requested_by`, `template_name` and `template_id` are None where the server did not say:
    a rule about them then refuses. `data_names` are as written, with what follows the name.
    `meets`: it has to do with other members of its run, a coordinator or the ports of a mesh.
    `malformed` says what of it no template could hold, and is empty for a good one.
    """

    image_url: str
    command: tuple[str, ...] = ()
    env_names: tuple[str, ...] = ()
    resources: Resources = Resources()
    network: Network = Network.NONE
    run_timeout_s: int | None = None
    data_names: tuple[str, ...] = ()
    federated_id: str = ""
    requested_by: str | None = None
    template_name: str | None = None
    template_id: str | None = None
    meets: bool = False
    malformed: str = ""


def request_of(spec: WorkloadSpec) -> Request:
    """Return what the assignment asks for."""
    names = [mount.data_name for mount in spec.mounts]
    if spec.federated_data:
        names.insert(0, spec.federated_data)
    return Request(
        image_url=spec.image_url,
        command=spec.command,
        env_names=tuple(spec.env),
        resources=spec.resources,
        network=spec.network,
        run_timeout_s=spec.run_timeout_s,
        data_names=tuple(names),
        federated_id=spec.federated_id,
        requested_by=spec.requested_by or None,
        template_name=spec.template_name or None,
        template_id=spec.template_id or None,
        meets=bool(spec.coordinator_ports or spec.mesh or spec.peers),
        malformed=malformed_peers(spec)
        or _malformed(
            TemplateSpec(
                name="assignment",
                image_url=spec.image_url,
                workdir=spec.workdir,
                command=spec.command,
                hyper_parameter=spec.hyper_parameter,
                resources=spec.resources,
                env=spec.env,
                mounts=spec.mounts,
                user=spec.user,
                network=spec.network,
                stop_grace_s=spec.stop_grace_s,
                run_timeout_s=spec.run_timeout_s,
                on_disconnect=spec.on_disconnect,
                mesh=spec.mesh,
                connect_timeout_s=spec.connect_timeout_s,
                coordinator=Coordinator(ports=spec.coordinator_ports, ends=Ends.BY_ITSELF)
                if spec.coordinator_ports
                else None,
            )
        ),
    )


def request_of_template(
    spec: TemplateSpec, *, federated_id: str, data_name: str, user: str | None
) -> Request:
    """Return what a task of this template would ask this site for."""
    names = [mount.data_name for mount in spec.mounts]
    if data_name:
        names.insert(0, data_name)
    return Request(
        image_url=spec.image_url,
        command=spec.command,
        env_names=tuple(spec.env),
        resources=spec.resources,
        network=spec.network,
        run_timeout_s=spec.run_timeout_s,
        data_names=tuple(names),
        federated_id=federated_id,
        requested_by=user,
        template_name=spec.name,
        meets=bool(spec.coordinator is not None or spec.mesh),
        malformed=_malformed(spec),
    )


def _malformed(spec: TemplateSpec) -> str:
    # The server has checked this already. An honest one, that is: to an engine, zero or a
    # negative number means "no limit".
    try:
        check_template(spec)
    except InvalidArgument as error:
        return error.message
    return ""
