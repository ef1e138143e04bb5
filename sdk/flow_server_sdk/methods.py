"""The calls of the wire that the SDK makes, and which of them may be made twice."""

from dataclasses import dataclass
from typing import Any

from flow_wire import (
    audit_pb2,
    events_pb2,
    logs_pb2,
    metrics_pb2,
    outputs_pb2,
    parties_pb2,
    runs_pb2,
    tasks_pb2,
    templates_pb2,
    users_pb2,
    webhooks_pb2,
)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One call of the wire.

    `repeatable`: a second call after a lost answer has the effect and the answer of one. That
    excludes create (a second one would find its name taken) and delete (a second one would
    find nothing), and includes start and stop because they carry a request id.
    """

    path: str
    response: type[Any]
    repeatable: bool


def _template(name: str, response: type[Any], *, repeatable: bool) -> Method:
    return Method(
        path=f"/fedflow.v1.TemplateService/{name}", response=response, repeatable=repeatable
    )


def _task(name: str, response: type[Any], *, repeatable: bool) -> Method:
    return Method(path=f"/fedflow.v1.TaskService/{name}", response=response, repeatable=repeatable)


def _run(name: str, response: type[Any]) -> Method:
    return Method(path=f"/fedflow.v1.RunService/{name}", response=response, repeatable=True)


def _party(name: str, response: type[Any]) -> Method:
    return Method(path=f"/fedflow.v1.PartyService/{name}", response=response, repeatable=True)


def _user(name: str, response: type[Any], *, repeatable: bool = True) -> Method:
    return Method(path=f"/fedflow.v1.UserService/{name}", response=response, repeatable=repeatable)


CREATE_TEMPLATE = _template("Create", templates_pb2.CreateTemplateResponse, repeatable=False)
UPDATE_TEMPLATE = _template("Update", templates_pb2.UpdateTemplateResponse, repeatable=True)
GET_TEMPLATE = _template("Get", templates_pb2.GetTemplateResponse, repeatable=True)
LIST_TEMPLATES = _template("List", templates_pb2.ListTemplatesResponse, repeatable=True)
DELETE_TEMPLATE = _template("Delete", templates_pb2.DeleteTemplateResponse, repeatable=False)

CREATE_TASK = _task("Create", tasks_pb2.CreateTaskResponse, repeatable=False)
UPDATE_TASK = _task("Update", tasks_pb2.UpdateTaskResponse, repeatable=True)
GET_TASK = _task("Get", tasks_pb2.GetTaskResponse, repeatable=True)
LIST_TASKS = _task("List", tasks_pb2.ListTasksResponse, repeatable=True)
DELETE_TASK = _task("Delete", tasks_pb2.DeleteTaskResponse, repeatable=False)
START_TASK = _task("Start", tasks_pb2.StartTaskResponse, repeatable=True)
STOP_TASK = _task("Stop", tasks_pb2.StopTaskResponse, repeatable=True)
WAIT_TASK = _task("Wait", tasks_pb2.WaitTaskResponse, repeatable=True)

LIST_RUNS = _run("List", runs_pb2.ListRunsResponse)

LIST_PARTIES = _party("List", parties_pb2.ListPartiesResponse)
GET_PARTY = _party("Get", parties_pb2.GetPartyResponse)
DRAIN_PARTY = _party("Drain", parties_pb2.DrainPartyResponse)
RESUME_PARTY = _party("Resume", parties_pb2.ResumePartyResponse)
# A second token voids the first, which nobody has seen if its answer was lost.
ADD_PARTY = _party("Add", parties_pb2.AddPartyResponse)
REVOKE_PARTY = _party("Revoke", parties_pb2.RevokePartyResponse)

LIST_METRICS = Method(
    path="/fedflow.v1.MetricService/List",
    response=metrics_pb2.ListMetricsResponse,
    repeatable=True,
)

ADD_USER = _user("Add", users_pb2.AddUserResponse, repeatable=False)
LIST_USERS = _user("List", users_pb2.ListUsersResponse)
SET_ROLE = _user("SetRole", users_pb2.SetRoleResponse)
DISABLE_USER = _user("Disable", users_pb2.DisableUserResponse)
ENABLE_USER = _user("Enable", users_pb2.EnableUserResponse)
CREATE_TOKEN = _user("CreateToken", users_pb2.CreateTokenResponse, repeatable=False)
LIST_TOKENS = _user("ListTokens", users_pb2.ListTokensResponse)
REVOKE_TOKEN = _user("RevokeToken", users_pb2.RevokeTokenResponse)
WHO_AM_I = _user("WhoAmI", users_pb2.WhoAmIResponse)
LIST_AUDIT = Method(
    path="/fedflow.v1.AuditService/List", response=audit_pb2.ListAuditResponse, repeatable=True
)


def _webhook(name: str, response: type[Any], *, repeatable: bool) -> Method:
    return Method(
        path=f"/fedflow.v1.WebhookService/{name}", response=response, repeatable=repeatable
    )


CREATE_WEBHOOK = _webhook("Create", webhooks_pb2.CreateWebhookResponse, repeatable=False)
LIST_WEBHOOKS = _webhook("List", webhooks_pb2.ListWebhooksResponse, repeatable=True)
DELETE_WEBHOOK = _webhook("Delete", webhooks_pb2.DeleteWebhookResponse, repeatable=False)
LIST_DELIVERIES = _webhook("ListDeliveries", webhooks_pb2.ListDeliveriesResponse, repeatable=True)

WATCH_EVENTS = Method(
    path="/fedflow.v1.EventService/Watch",
    response=events_pb2.WatchEventsResponse,
    repeatable=True,
)
READ_LOGS = Method(
    path="/fedflow.v1.LogService/Read", response=logs_pb2.ReadLogsResponse, repeatable=True
)
LIST_OUTPUTS = Method(
    path="/fedflow.v1.OutputService/List",
    response=outputs_pb2.ListOutputsResponse,
    repeatable=True,
)
DOWNLOAD_OUTPUT = Method(
    path="/fedflow.v1.OutputService/Download",
    response=outputs_pb2.DownloadOutputResponse,
    repeatable=True,
)
