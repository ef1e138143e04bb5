"""Who may make which call: one table, and the decision over one row's owner. Pure.

A call is looked at twice. Before anything is read, `admit` refuses who may not make it at all;
once the row is known, `decide` also looks at whose it is.
"""

import enum
from dataclasses import dataclass

from flow_contract.access import Caller, CallerKind, Right
from flow_contract.errors import Forbidden, Unauthenticated

_NOBODY = (
    "this call needs a token: log in with 'fedflow login', set FEDFLOW_TOKEN_FILE, "
    "or give FlowServerSdk token=…"
)


class Who(enum.StrEnum):
    """Which kind of caller a call is for."""

    ANYBODY = "anybody"
    USER = "user"
    PARTY = "party"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may make one call.

    `any_of`: each of these rights is enough, whoever owns the thing. `own`: what the thing's
    owner needs, where owning helps; no right at all if it is empty.
    """

    who: Who = Who.USER
    any_of: frozenset[Right] = frozenset()
    own: frozenset[Right] | None = None
    what: str = ""


def _right(*any_of: Right) -> Rule:
    return Rule(any_of=frozenset(any_of))


def _own(needed: Right, what: str, *any_of: Right) -> Rule:
    return Rule(any_of=frozenset(any_of), own=frozenset({needed}), what=what)


_ANYBODY = Rule(who=Who.ANYBODY)
_PARTY = Rule(who=Who.PARTY)
_ANY_USER = Rule(own=frozenset())
_OWN_TOKEN = Rule(own=frozenset(), any_of=frozenset({Right.MANAGE}), what="token")
_READ = _right(Right.READ)
_RUN = _right(Right.RUN)
_OPERATE = _right(Right.OPERATE)
_MANAGE = _right(Right.MANAGE)
_CHANGE_TEMPLATE = _own(Right.RUN, "template", Right.MANAGE)
_SEE_TASK = _own(Right.READ, "task", Right.READ_ALL)
_CHANGE_TASK = _own(Right.RUN, "task", Right.MANAGE)
_USE_WEBHOOK = _own(Right.RUN, "webhook", Right.OPERATE, Right.MANAGE)

RULES: dict[str, Rule] = {
    "TemplateService/Create": _RUN,
    "TemplateService/Update": _CHANGE_TEMPLATE,
    "TemplateService/Get": _READ,
    "TemplateService/List": _READ,
    "TemplateService/Delete": _CHANGE_TEMPLATE,
    "TaskService/Create": _RUN,
    "TaskService/Update": _CHANGE_TASK,
    "TaskService/Get": _SEE_TASK,
    "TaskService/List": _SEE_TASK,
    "TaskService/Delete": _CHANGE_TASK,
    "TaskService/Start": _CHANGE_TASK,
    "TaskService/Stop": _own(Right.RUN, "task", Right.OPERATE, Right.MANAGE),
    "TaskService/Wait": _SEE_TASK,
    "RunService/Get": _SEE_TASK,
    "RunService/List": _SEE_TASK,
    "MetricService/List": _SEE_TASK,
    "EventService/Watch": _SEE_TASK,
    "WebhookService/Create": _USE_WEBHOOK,
    "WebhookService/List": _USE_WEBHOOK,
    "WebhookService/Delete": _USE_WEBHOOK,
    "WebhookService/ListDeliveries": _USE_WEBHOOK,
    "PartyService/List": _READ,
    "PartyService/Get": _READ,
    "PartyService/Drain": _OPERATE,
    "PartyService/Resume": _OPERATE,
    "PartyService/Add": _OPERATE,
    "PartyService/Revoke": _OPERATE,
    "UserService/Add": _MANAGE,
    "UserService/List": _MANAGE,
    "UserService/SetRole": _MANAGE,
    "UserService/Disable": _MANAGE,
    "UserService/Enable": _MANAGE,
    "UserService/CreateToken": _OWN_TOKEN,
    "UserService/ListTokens": _OWN_TOKEN,
    "UserService/RevokeToken": _OWN_TOKEN,
    "UserService/WhoAmI": _ANY_USER,
    "AuditService/List": _right(Right.AUDIT),
    "EnrolmentService/Enrol": _ANYBODY,
    "AgentService/Connect": _PARTY,
    "AgentService/Renew": _PARTY,
    "MetricService/Push": _PARTY,
    "LogService/Push": _PARTY,
    "LogService/Read": _SEE_TASK,
    "OutputService/Push": _PARTY,
    "OutputService/List": _SEE_TASK,
    "OutputService/Download": _SEE_TASK,
    "TunnelService/Open": _PARTY,
}


def admit(rule: Rule, caller: Caller) -> None:
    """Accept a caller who may make the call at least on what is its own.

    Raises:
        Unauthenticated: the call needs proof, and there was none.
        Forbidden: nothing that the caller owns would make it allowed.
    """
    if rule.who is Who.ANYBODY or caller.kind is CallerKind.LOCAL:
        return
    if caller.kind is CallerKind.NOBODY:
        raise Unauthenticated(_NOBODY)
    if (caller.kind is CallerKind.PARTY) is not (rule.who is Who.PARTY):
        raise Forbidden(_WRONG_KIND[rule.who])
    if rule.who is Who.USER and not _suffices(rule, caller) and not _owning_helps(rule, caller):
        raise Forbidden(_lacking(rule))


def decide(rule: Rule, caller: Caller, owner: str | None) -> None:
    """Accept a caller who may make the call on what `owner` owns; None where nothing is owned.

    What nobody owns ("") is nobody's own: only a right over everybody's helps there.

    Raises:
        Unauthenticated, Forbidden: as `admit`, or it is another user's.
    """
    admit(rule, caller)
    if rule.who is not Who.USER or caller.kind is CallerKind.LOCAL or _suffices(rule, caller):
        return
    if owner is not None and rule.any_of and owner != owner_name(caller):
        raise Forbidden(
            f"this {rule.what} is another user's; ask its owner or {_HELPERS[rule.what]}"
        )


def owner_name(caller: Caller) -> str:
    """Return who owns what the caller makes; nobody where users were not asked who they are."""
    return caller.name if caller.kind is CallerKind.USER else ""


def listed_owner(rule: Rule, caller: Caller) -> str | None:
    """Return whose things a listing shows the caller; None means everybody's."""
    if caller.kind is CallerKind.LOCAL or _suffices(rule, caller):
        return None
    return owner_name(caller)


_WRONG_KIND = {
    Who.USER: "a party's certificate can't be used for this; it needs a user's token",
    Who.PARTY: "only a party's agent may call this, with the party's certificate",
}
# Who may do for others what only an owner may.
_HELPERS = {
    "template": "an admin",
    "task": "an operator",
    "webhook": "an operator",
    "token": "an admin",
}


def _suffices(rule: Rule, caller: Caller) -> bool:
    return not rule.any_of.isdisjoint(caller.rights)


def _owning_helps(rule: Rule, caller: Caller) -> bool:
    return rule.own is not None and rule.own <= caller.rights


def _lacking(rule: Rule) -> str:
    enough = sorted(rule.any_of | (rule.own or frozenset()))
    return (
        f"this needs the right {' or '.join(enough)}, which your token does not carry; "
        "'fedflow whoami' shows what it does, and an admin can change it"
    )
