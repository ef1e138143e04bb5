"""From an assignment to what a runtime runs: environment, binds, labels."""

import json
from functools import partial
from pathlib import Path
from typing import Protocol

from flow_contract.assignments import WorkloadSpec
from party_agent import arguments, neighbours
from party_agent.logs_out.spools import Spools
from party_agent.outputs_out.spools import OutputSpools
from party_agent.policy.data import DATA_TARGET
from party_agent.policy.site import Site, capped, check, data_binds
from party_agent.runtime.port import Bind, Neighbour, Workload
from party_agent.workload_api import folder

OUTPUT_TARGET = "/output"
PYTHON_TARGET = f"{folder.TARGET}/{folder.PYTHON}"

LABEL_PREFIX = "io.fedflow."


class Ways(Protocol):
    """Where a workload finds its neighbours and what it is given: what its runtime says of it."""

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:
        """See `Runtime.host_of`."""

    def path_of(self, bind: Bind) -> str:
        """See `Runtime.path_of`."""


class _Contained:
    def host_of(self, _: str, neighbour: Neighbour) -> str:
        return neighbour.name

    def path_of(self, bind: Bind) -> str:
        return bind.target


def make_workload(
    spec: WorkloadSpec,
    site: Site,
    gpu_ids: tuple[str, ...],
    outputs: Path | None,
    *,
    api: Path | None = None,
    is_judged: bool = False,
    logs: Spools | None = None,
    uploads: OutputSpools | None = None,
    ways: Ways | None = None,
) -> Workload:
    """Return the workload, its own directories below `outputs` and `api` made.

    None means no /output, and no socket to report at. Placeholders are filled in as `ways` says,
    None for a container's; the site's rules judge the command as it will run.

    `is_judged`: the rules let it pass when it was launched and have no say any more. Where its
    data are is looked up all the same. `logs` None keeps no logs, `uploads` None sends no outputs.

    Raises:
        RuntimeRefused: the site's rules forbid it.
    """
    ways = ways or _Contained()
    if not is_judged:
        check_filled(site, spec, ways, has_output=outputs is not None)
    spec = capped(site, spec)
    binds = data_binds(site, spec)
    if outputs is not None:
        output = make_output(outputs, spec)
        binds = (*binds, Bind(source=output, target=OUTPUT_TARGET, writable=True))
    if api is not None:
        made = folder.make_folder(api, spec.party_run_id)
        binds = (*binds, Bind(source=made, target=folder.TARGET, is_agents=True))
    if uploads is not None:
        uploads.expect(spec.party_run_id)
    reached = neighbours.neighbours(spec)
    spec = arguments.filled(spec, _surroundings(spec, ways, binds))
    room = logs.room_for(spec.party_run_id, site.rules.may_leave) if logs is not None else None
    return Workload(
        party_run_id=spec.party_run_id,
        image_url=spec.image_url,
        workdir=spec.workdir,
        command=spec.command,
        env=environment(spec, has_output=outputs is not None, has_api=api is not None),
        binds=binds,
        resources=spec.resources,
        gpu_ids=gpu_ids,
        user=spec.user,
        network=spec.network,
        labels=labels(spec),
        log=None if room is None else room.path,
        log_max_bytes=0 if room is None else room.most_bytes,
        log_site_max_bytes=0 if room is None else room.site_bytes,
        neighbours=reached,
        own_name=neighbours.own(spec).name if reached else "",
    )


def check_filled(site: Site, spec: WorkloadSpec, ways: Ways, *, has_output: bool) -> None:
    """Accept what the site's rules allow to run, its placeholders filled in; no disk is looked at.

    Rules name a container's own paths, whatever a site without containers has instead.

    Raises:
        RuntimeRefused: names the first rule that it breaks, or the placeholder that is unknown.
    """
    around = arguments.Surroundings(
        host_of=partial(ways.host_of, spec.party_run_id),
        data_dir=DATA_TARGET if spec.federated_data else "",
        output_dir=OUTPUT_TARGET if has_output else "",
    )
    check(site, arguments.filled(spec, around))


def _surroundings(
    spec: WorkloadSpec, ways: Ways, binds: tuple[Bind, ...]
) -> arguments.Surroundings:
    places = {bind.target: ways.path_of(bind) for bind in binds}
    return arguments.Surroundings(
        host_of=partial(ways.host_of, spec.party_run_id),
        data_dir=places.get(DATA_TARGET, ""),
        output_dir=places.get(OUTPUT_TARGET, ""),
    )


def environment(spec: WorkloadSpec, *, has_output: bool, has_api: bool = False) -> dict[str, str]:
    """Return the template's variables and ours, which win.

    FEDFLOW_PARTIES holds the party ids by rank, comma separated; FEDFLOW_HYPER_PARAMETERS a
    JSON list of strings, as they were given. FEDFLOW_API is the socket to report at; what Python
    imports comes last from beside it, so that the template's own modules win.
    """
    ours = {
        "FEDFLOW_TASK_ID": spec.task_id,
        "FEDFLOW_RUN_ID": spec.run_id,
        "FEDFLOW_PARTY_ID": spec.federated_id,
        "FEDFLOW_ROLE": spec.role.value,
        "FEDFLOW_RANK": str(spec.rank),
        "FEDFLOW_WORLD_SIZE": str(len(spec.parties)),
        "FEDFLOW_PARTIES": ",".join(spec.parties),
        "FEDFLOW_HYPER_PARAMETERS": json.dumps(spec.hyper_parameter),
        "FEDFLOW_EPOCHS": str(spec.epochs),
    }
    if spec.federated_data:
        ours["FEDFLOW_DATA_DIR"] = DATA_TARGET
    if has_output:
        ours["FEDFLOW_OUTPUT_DIR"] = OUTPUT_TARGET
    if has_api:
        ours["FEDFLOW_API"] = f"{folder.TARGET}/{folder.SOCKET}"
        own = spec.env.get("PYTHONPATH")
        ours["PYTHONPATH"] = f"{own}:{PYTHON_TARGET}" if own else PYTHON_TARGET
    return {**spec.env, **ours}


def labels(spec: WorkloadSpec) -> dict[str, str]:
    """Return what a site's own people see on the container, beside what its runtime adds."""
    return {
        f"{LABEL_PREFIX}task": spec.task_id,
        f"{LABEL_PREFIX}run": spec.run_id,
        f"{LABEL_PREFIX}party": spec.federated_id,
    }


def make_output(outputs: Path, spec: WorkloadSpec) -> Path:
    """Make the party run's own output directory; may be repeated, and is kept after the run.

    The runtime gives it to whom it runs the workload as. The parent lets through and does not
    list: the ids are secret enough.
    """
    outputs.mkdir(mode=0o711, parents=True, exist_ok=True)
    output = outputs / spec.party_run_id
    output.mkdir(mode=0o700, exist_ok=True)
    return output
