"""One site as its agent sees it: whom it speaks for, how large it is, and the rules in force."""

from dataclasses import dataclass, field, replace

import structlog

from flow_contract.assignments import WorkloadSpec
from flow_contract.reasons import Reason, sentence
from party_agent.policy import data, decide
from party_agent.policy.request import request_of
from party_agent.policy.rules import Rules
from party_agent.runtime.port import Bind, RuntimeRefused

# The machine's own size, which is no rule of anybody's.
RULE_CPUS = "resources.cpus"
RULE_MEMORY = "resources.memory_bytes"

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a request is held against.

    `cpus` counts cores; 0 for it or `memory_bytes` means not known, and then not checked.
    `party_id` empty means that the agent speaks for anybody.
    """

    rules: Rules = field(default_factory=Rules)
    party_id: str = ""
    cpus: float = 0
    memory_bytes: int = 0


def check(site: Site, spec: WorkloadSpec) -> None:
    """Accept what the site's rules and size allow; the disks are not looked at.

    Raises:
        RuntimeRefused: names the first rule that it breaks.
    """
    findings = decide.judge(site.rules, request_of(spec), party_id=site.party_id)
    finding = decide.first_refusal(findings)
    if finding is not None:
        # Here, and only here, with the detail: the site's people are who may know it.
        log.info(
            "policy_refused",
            party_run_id=spec.party_run_id,
            rule=finding.rule,
            detail=finding.detail[:500],
        )
        raise decide.refusal(finding.rule, finding.reason)
    cpus = spec.resources.cpus
    if cpus is not None and site.cpus and cpus > site.cpus:
        raise _too_small(RULE_CPUS, f"{cpus:g} CPUs asked for, the site has {site.cpus:g}")
    memory_bytes = spec.resources.memory_bytes
    if memory_bytes is not None and site.memory_bytes and memory_bytes > site.memory_bytes:
        raise _too_small(
            RULE_MEMORY,
            f"{memory_bytes} bytes of memory asked for, the site has {site.memory_bytes}",
        )


def capped(site: Site, spec: WorkloadSpec) -> WorkloadSpec:
    """Return the assignment with the site's limits where it sets none."""
    resources = decide.capped(site.rules, spec.resources)
    # A rule may allow more than the machine has, and an engine refuses more than that.
    if spec.resources.cpus is None and resources.cpus is not None and site.cpus:
        resources = replace(resources, cpus=min(resources.cpus, site.cpus))
    return replace(spec, resources=resources)


def names_data(spec: WorkloadSpec) -> bool:
    """Say whether the site's disks have to be looked at."""
    return bool(spec.federated_data or spec.mounts)


def data_binds(site: Site, spec: WorkloadSpec) -> tuple[Bind, ...]:
    """Return the read-only binds for the party's data and the template's mounts.

    Raises:
        RuntimeRefused: a name is unknown or not for this user, or a path leaves the roots.
    """
    wanted = [(mount.data_name, mount.target) for mount in spec.mounts]
    if spec.federated_data:
        wanted.insert(0, (spec.federated_data, data.DATA_TARGET))
    user = request_of(spec).requested_by
    return tuple(
        Bind(source=data.resolve(site.rules.data, name, user=user), target=target)
        for name, target in wanted
    )


def _too_small(rule: str, detail: str) -> RuntimeRefused:
    reason = Reason.RESOURCES_UNAVAILABLE
    return RuntimeRefused(reason, sentence(reason, f"Rule {rule}: {detail}"))
