"""Which calls leave an entry in the audit log, and what the entry says they were about.

Every call that changes something leaves one, however it ends; so does every call of any kind
that is denied. What is only read by who may read it leaves none.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a call is about: the field of the request, else of the answer, that names it."""

    kind: str
    field: str
    # Short facts worth keeping beside it: fields of the request or the answer.
    also: tuple[str, ...] = ()


# "Service/Method", for calls that change something.
AUDITED: Mapping[str, Subject] = {
    "TemplateService/Create": Subject(kind="template", field="template_id"),
    "TemplateService/Update": Subject(kind="template", field="template_id"),
    "TemplateService/Delete": Subject(kind="template", field="template_id"),
    "TaskService/Create": Subject(kind="task", field="task_id"),
    "TaskService/Update": Subject(kind="task", field="task_id"),
    "TaskService/Delete": Subject(kind="task", field="task_id"),
    "TaskService/Start": Subject(kind="task", field="task_id", also=("run_id",)),
    "TaskService/Stop": Subject(kind="task", field="task_id"),
    "WebhookService/Create": Subject(kind="webhook", field="webhook_id"),
    "WebhookService/Delete": Subject(kind="webhook", field="webhook_id"),
    "PartyService/Add": Subject(kind="party", field="federated_id"),
    "PartyService/Revoke": Subject(kind="party", field="federated_id"),
    "PartyService/Drain": Subject(kind="party", field="federated_id"),
    "PartyService/Resume": Subject(kind="party", field="federated_id"),
    "EnrolmentService/Enrol": Subject(kind="party", field="federated_id", also=("token_id",)),
    "AgentService/Connect": Subject(kind="party", field="federated_id"),
    "LogService/Push": Subject(kind="party", field="federated_id"),
    "AgentService/Renew": Subject(kind="party", field="federated_id"),
    "UserService/Add": Subject(kind="user", field="name"),
    "UserService/SetRole": Subject(kind="user", field="name"),
    "UserService/Disable": Subject(kind="user", field="name"),
    "UserService/Enable": Subject(kind="user", field="name"),
    "UserService/CreateToken": Subject(kind="user", field="user_name"),
    "UserService/RevokeToken": Subject(kind="token", field="token_id"),
}

# Calls that only read: denied ones leave an entry, about nothing in particular.
READING = frozenset(
    {
        "TemplateService/Get",
        "TemplateService/List",
        "TaskService/Get",
        "TaskService/List",
        "TaskService/Wait",
        "RunService/Get",
        "RunService/List",
        "EventService/Watch",
        "WebhookService/List",
        "WebhookService/ListDeliveries",
        "PartyService/Get",
        "PartyService/List",
        "UserService/List",
        "UserService/ListTokens",
        "UserService/WhoAmI",
        "AuditService/List",
        "MetricService/List",
        # What a run brings forth is no act of anybody's.
        "MetricService/Push",
        "LogService/Read",
        "OutputService/Push",
        "OutputService/List",
        "OutputService/Download",
        # The same: a workload's connections, of which there may be thousands.
        "TunnelService/Open",
    }
)
