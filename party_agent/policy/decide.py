"""Pure: the verdict on one request, rule by rule.

A rule that is positively kept allows; everything else refuses, also what a rule can't judge:
a number that is none, an image's name that is none, a user whom the server does not name.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from flow_contract.reasons import Reason, sentence
from flow_contract.templates import Resources
from party_agent.policy import images
from party_agent.policy.request import Request
from party_agent.policy.rules import Globs, Rules
from party_agent.runtime.port import RuntimeRefused

ANY_FURTHER = "**"

REQUEST_PARTY = "request.party"
REQUEST_FORM = "request.form"
IMAGES_ALLOWED = "images.allowed"
IMAGES_REGISTRIES = "images.registries"
IMAGES_REQUIRE_DIGEST = "images.require_digest"
IMAGES_DIGESTS = "images.digests"
COMMANDS_ALLOWED = "commands.allowed"
COMMANDS_ENV = "commands.env"
USERS_ALLOWED = "users.allowed"
TEMPLATES_ALLOWED = "templates.allowed"
DATA_NAMES = "data.names"
DATA_USERS = "data.users"
DATA_ROOTS = "data.roots"
MAX_CPUS = "limits.max_cpus"
MAX_MEMORY = "limits.max_memory_bytes"
MAX_GPUS = "limits.max_gpus"
MAX_RUN_TIME = "limits.max_run_time_s"
MAX_CONCURRENT_RUNS = "limits.max_concurrent_runs"
NETWORK_MODE = "network.mode"
APPROVAL_MODE = "approval.mode"
APPROVAL_TIMEOUT = "approval.timeout_s"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says. `detail` is for the site's own people and never leaves the site."""

    rule: str
    is_allowed: bool
    detail: str
    reason: Reason = Reason.POLICY_DENIED


def refusal(rule: str, reason: Reason = Reason.POLICY_DENIED) -> RuntimeRefused:
    """Return what the researcher is told: the rule's name, and what the reason means."""
    return RuntimeRefused(reason, sentence(reason, f"Rule {rule}"))


def first_refusal(findings: tuple[Finding, ...]) -> Finding | None:
    """Return the finding that the request fails by, None if it passes."""
    return next((finding for finding in findings if not finding.is_allowed), None)


def judge(rules: Rules, request: Request, *, party_id: str = "") -> tuple[Finding, ...]:
    """Return what every rule says of the request, in the order in which they are asked.

    `party_id` is who this agent speaks for; empty, for anybody.
    """
    parts: tuple[Callable[[Rules, Request], list[Finding]], ...] = (
        _image,
        _command,
        _who,
        _data,
        _limits,
        _network,
    )
    is_ours = not party_id or request.federated_id == party_id
    findings = [
        Finding(
            rule=REQUEST_PARTY,
            is_allowed=is_ours,
            detail=f"for party {request.federated_id!r}",
        ),
        Finding(
            rule=REQUEST_FORM,
            is_allowed=not request.malformed,
            detail=request.malformed or "as a template may be",
        ),
    ]
    for part in parts:
        findings += part(rules, request)
    return tuple(findings)


def capped(rules: Rules, resources: Resources) -> Resources:
    """Return the resources with the site's limits where the template sets none."""
    limits = rules.limits
    cpus, memory_bytes = resources.cpus, resources.memory_bytes
    return replace(
        resources,
        cpus=limits.max_cpus if cpus is None else cpus,
        memory_bytes=limits.max_memory_bytes if memory_bytes is None else memory_bytes,
    )


def has_room(rules: Rules, runs_ahead: int) -> bool:
    """Say whether one more run may be here beside `runs_ahead`."""
    most = rules.limits.max_concurrent_runs
    return most is None or runs_ahead < most


def command_matches(glob: Globs, command: tuple[str, ...]) -> bool:
    """Say whether each word matches its glob; a last `**` stands for any further words."""
    if glob and glob[-1] == ANY_FURTHER:
        glob = glob[:-1]
        command = command[: len(glob)]
    return len(glob) == len(command) and all(map(fnmatchcase, command, glob))


def may_use(users: Globs | None, user: str | None) -> bool:
    """Say whether a rule about users lets `user` pass; None is nobody in any of them."""
    return users is None or (user is not None and _is_in(users, user))


def _image(rules: Rules, request: Request) -> list[Finding]:
    wanted, reference = rules.images, request.image_url
    if not wanted.restrict:
        return [_free(IMAGES_ALLOWED, f"{reference!r}")]
    image = images.parse(reference)
    if image is None:
        detail = f"{reference!r} is no image's name, or could be read as an image's id"
        return [Finding(rule=IMAGES_ALLOWED, is_allowed=False, detail=detail)]
    found = [_free(IMAGES_ALLOWED, repr(reference))]
    if wanted.allowed is not None:
        is_good = images.matches(wanted.allowed, image)
        found = [Finding(rule=IMAGES_ALLOWED, is_allowed=is_good, detail=repr(reference))]
    if wanted.registries is not None:
        is_good = _is_in(wanted.registries, image.registry)
        found.append(
            Finding(rule=IMAGES_REGISTRIES, is_allowed=is_good, detail=repr(image.registry))
        )
    if wanted.require_digest:
        detail = f"{reference!r} {'names' if image.digest else 'names no'} digest"
        found.append(
            Finding(rule=IMAGES_REQUIRE_DIGEST, is_allowed=bool(image.digest), detail=detail)
        )
    if wanted.digests is not None:
        # A name without a digest is looked at again when the engine has found its image.
        is_good = not image.digest or image.digest in wanted.digests
        detail = f"{image.digest or 'known when the image is there'}"
        found.append(Finding(rule=IMAGES_DIGESTS, is_allowed=is_good, detail=detail))
    return found


def _command(rules: Rules, request: Request) -> list[Finding]:
    wanted = rules.commands
    shown = f"{list(request.command)}"
    found = [_free(COMMANDS_ALLOWED, shown)]
    if wanted.allowed is not None:
        is_good = any(command_matches(glob, request.command) for glob in wanted.allowed)
        found = [Finding(rule=COMMANDS_ALLOWED, is_allowed=is_good, detail=shown)]
    if wanted.env is not None:
        bad = [name for name in request.env_names if not _is_in(wanted.env, name)]
        detail = f"sets {bad}" if bad else "sets nothing else"
        found.append(Finding(rule=COMMANDS_ENV, is_allowed=not bad, detail=detail))
    return found


def _who(rules: Rules, request: Request) -> list[Finding]:
    templates = tuple(
        each for each in (request.template_name, request.template_id) if each is not None
    )
    named = ", ".join(repr(each) for each in templates) or "the server does not say which"
    user = repr(request.requested_by) if request.requested_by else "the server does not say who"
    if rules.templates is None:
        template = _free(TEMPLATES_ALLOWED, named)
    else:
        is_good = any(_is_in(rules.templates, each) for each in templates)
        template = Finding(rule=TEMPLATES_ALLOWED, is_allowed=is_good, detail=named)
    if rules.users is None:
        return [_free(USERS_ALLOWED, user), template]
    is_good = may_use(rules.users, request.requested_by)
    return [Finding(rule=USERS_ALLOWED, is_allowed=is_good, detail=user), template]


def _data(rules: Rules, request: Request) -> list[Finding]:
    found: list[Finding] = []
    for name in request.data_names:
        head = name.partition("/")[0]
        if not head and rules.data.absolute_paths:
            # Which data set it lies in is seen when the path is followed.
            found.append(_free(DATA_NAMES, f"{name!r} is a path"))
            continue
        rule = rules.data.names.get(head)
        found.append(
            Finding(
                rule=DATA_NAMES,
                is_allowed=rule is not None,
                detail=f"{name!r}",
                reason=Reason.DATA_UNKNOWN,
            )
        )
        if rule is not None and rule.users is not None:
            is_good = may_use(rule.users, request.requested_by)
            detail = f"{head!r} for {request.requested_by!r}"
            found.append(Finding(rule=DATA_USERS, is_allowed=is_good, detail=detail))
    return found


def _limits(rules: Rules, request: Request) -> list[Finding]:
    limits, asked = rules.limits, request.resources
    gpus = None if asked.gpus is None else asked.gpus.size
    pairs = (
        (MAX_CPUS, asked.cpus, limits.max_cpus),
        (MAX_MEMORY, asked.memory_bytes, limits.max_memory_bytes),
        (MAX_GPUS, gpus, limits.max_gpus),
        (MAX_RUN_TIME, request.run_timeout_s, limits.max_run_time_s),
    )
    found = []
    for rule, wanted, most in pairs:
        if most is None:
            found.append(_free(rule, "no limit" if wanted is None else f"{wanted:g} asked for"))
        elif wanted is None:
            # What asks for no GPU gets none; everything else is held to the limit.
            detail = "asks for none" if rule == MAX_GPUS else f"asks for no limit, gets {most:g}"
            found.append(Finding(rule=rule, is_allowed=True, detail=detail))
        else:
            detail = f"{wanted:g} asked for, {most:g} allowed"
            found.append(Finding(rule=rule, is_allowed=0 <= wanted <= most, detail=detail))
    return found


def _network(rules: Rules, request: Request) -> list[Finding]:
    is_good = rules.network.includes(request.network)
    detail = f"'{request.network}' asked for, up to '{rules.network}' allowed"
    if request.meets:
        is_good = is_good and rules.network.lets_meet
        detail = f"meets others of its run; {detail}"
    return [Finding(rule=NETWORK_MODE, is_allowed=is_good, detail=detail)]


def _is_in(globs: Globs, value: str) -> bool:
    return any(fnmatchcase(value, glob) for glob in globs)


def _free(rule: str, detail: str) -> Finding:
    return Finding(rule=rule, is_allowed=True, detail=f"no rule; {detail}")
