"""Every call by every kind of caller, on a real server: who may, who may not, and what is said.

The table stands here on its own: it is not the server's, or both could be wrong together.
"""

import secrets

import grpc
import pytest

from flow_contract.access import Role
from tests.security.every_call import DENIED, METHODS, SERVED, Stage, call, fields_of
from tests.security.people import token_id

OK = grpc.StatusCode.OK
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
FORBIDDEN = grpc.StatusCode.PERMISSION_DENIED

# Ana is a researcher who owns all there is; Rob is another. Her "reading" token may read only.
EVERYBODY = "viewer rob ana reading operator admin"
SEES_ANAS = "viewer ana reading operator admin"
TABLE = {
    "TemplateService/Create": "rob ana admin",
    "TemplateService/Update": "ana admin",
    "TemplateService/Get": EVERYBODY,
    "TemplateService/List": EVERYBODY,
    "TemplateService/Delete": "ana admin",
    "TaskService/Create": "rob ana admin",
    "TaskService/Update": "ana admin",
    "TaskService/Get": SEES_ANAS,
    "TaskService/List": EVERYBODY,
    "TaskService/Delete": "ana admin",
    "TaskService/Start": "ana admin",
    "TaskService/Stop": "ana operator admin",
    "TaskService/Wait": SEES_ANAS,
    "RunService/Get": SEES_ANAS,
    "RunService/List": SEES_ANAS,
    "EventService/Watch": EVERYBODY,
    "WebhookService/Create": "rob ana operator admin",
    "WebhookService/List": "rob ana operator admin",
    "WebhookService/Delete": "ana operator admin",
    "WebhookService/ListDeliveries": "ana operator admin",
    "PartyService/List": EVERYBODY,
    "PartyService/Get": EVERYBODY,
    "PartyService/Drain": "operator admin",
    "PartyService/Resume": "operator admin",
    "PartyService/Add": "operator admin",
    "PartyService/Revoke": "operator admin",
    "UserService/Add": "admin",
    "UserService/List": "admin",
    "UserService/SetRole": "admin",
    "UserService/Disable": "admin",
    "UserService/Enable": "admin",
    "UserService/CreateToken": EVERYBODY,
    "UserService/ListTokens": EVERYBODY,
    "UserService/RevokeToken": "ana reading admin",
    "UserService/WhoAmI": EVERYBODY,
    "AuditService/List": "operator admin",
    "EnrolmentService/Enrol": EVERYBODY,
    "MetricService/List": SEES_ANAS,
    "MetricService/Push": "",
    "AgentService/Connect": "",
    "AgentService/Renew": "",
    "LogService/Push": "",
    "LogService/Read": SEES_ANAS,
    "OutputService/Push": "",
    "OutputService/List": SEES_ANAS,
    "OutputService/Download": SEES_ANAS,
    "TunnelService/Open": "",
}
NEEDS_NO_PROOF = {"EnrolmentService/Enrol"}


def test_the_table_names_every_call_there_is():
    assert set(TABLE) == set(METHODS)


@pytest.fixture
async def tokens(people):
    """One good token per kind of user, and one of each kind that is not good (any more)."""
    good = {
        "viewer": await people.add("vic", Role.VIEWER),
        "rob": await people.add("rob", Role.RESEARCHER),
        "ana": await people.add("anette", Role.RESEARCHER),
        "operator": await people.add("olga", Role.OPERATOR),
        "admin": people.served.admin_token,
    }
    good["reading"] = await people.token_of("anette", scopes=["read"])
    bad = {
        "expired": await people.token_of("anette"),
        "revoked": await people.token_of("anette"),
        "of a disabled user": await people.add("dan", Role.ADMIN),
    }
    await people.expire(bad["expired"])
    await people.admin.user.revoke_token(token_id(bad["revoked"]))
    await people.admin.user.disable("dan")
    bad["unknown"] = f"ff.{secrets.token_hex(6)}.{secrets.token_urlsafe(32)}"
    head, name, _ = good["admin"].split(".")
    bad["with another secret"] = f"{head}.{name}.{secrets.token_urlsafe(32)}"
    bad["that is none"] = "hunter2"
    bad["of an issuer that nobody trusts"] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ."
    return good, bad


@pytest.fixture
async def stage(people, tokens, sdk_of):
    ana = await sdk_of(tokens[0]["ana"])
    template = await ana.template.create("digits", "image:1", "", ["run"])
    party = [{"federated_id": "nobody-yet", "federated_data": ""}]
    task = await ana.task.create("train", template["data"]["template_id"], "", party)
    task_id = task["data"]["task_id"]
    # Refused, since nobody knows the party; the attempt is a run all the same.
    await ana.task.start(task_id)
    return Stage(
        template_id=template["data"]["template_id"],
        task_id=task_id,
        run_id=(await ana.task.runs(task_id))["data"]["runs"][0]["run_id"],
        webhook_id=(await ana.webhook.create("https://example.org/"))["data"]["webhook_id"],
        spare_token_id=token_id(await people.token_of("anette")),
    )


async def everything(admin):
    """What an admin sees of all that anybody could have changed."""
    templates = await admin.template.list()
    tasks = await admin.task.list(1, 100)
    runs = [await admin.task.runs(task["task_id"]) for task in tasks["data"]["tasks"]]
    users = await admin.user.list(1, 100)
    tokens = [await admin.user.tokens(user["name"]) for user in users["data"]["users"]]
    for answer in tokens:
        for token in answer["data"]["tokens"]:
            del token["last_used_at"]
    return templates, tasks, runs, users, tokens


async def test_who_enrols_is_asked_for_the_enrolment_token_and_for_nothing_else(
    channel, stage, tokens
):
    good, bad = tokens
    fields = fields_of("EnrolmentService/Enrol", stage)
    answers = {
        await call(channel, "EnrolmentService/Enrol", fields, token)
        for token in (None, good["viewer"], bad["expired"], bad["that is none"])
    }
    [(code, text)] = answers
    # That of the request itself, which is none: nobody was asked who they are.
    assert code is UNAUTHENTICATED
    assert "enrolment token" in text


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m.partition("/")[0] in SERVED and m not in NEEDS_NO_PROOF]
)
async def test_a_call_is_answered_for_whom_it_is_meant_and_for_nobody_else(
    method, people, tokens, stage, channel
):
    good, bad = tokens
    may = set(TABLE[method].split())
    fields = fields_of(method, stage)
    before = await everything(people.admin)

    for name, token in [("nobody", None), *bad.items()]:
        code, text = await call(channel, method, fields, token)
        assert code is UNAUTHENTICATED, name
        assert "token" in text, name
    for name in set(good) - may:
        code, text = await call(channel, method, fields, good[name])
        assert code is FORBIDDEN, (name, code, text)
        assert "anette" not in text
    # What was refused had no effect.
    if method not in NEEDS_NO_PROOF:
        assert await everything(people.admin) == before

    for name in sorted(may):
        code, text = await call(channel, method, fields, good[name])
        assert code not in DENIED, (name, text)
        assert code not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}, (name, text)


async def test_every_token_that_is_not_good_is_refused_with_the_same_words(tokens, channel):
    _, bad = tokens
    said = {await call(channel, "UserService/WhoAmI", {}, token) for token in bad.values()}
    assert len(said) == 1


@pytest.mark.parametrize(
    "values", [["Basic YTpi"], ["Bearer"], ["Bearer a", "Bearer b"], [""], ["Bearer  "]]
)
async def test_an_authorization_that_is_no_bearer_token_is_refused(values, channel):
    method, module = METHODS["UserService/WhoAmI"]
    who_am_i = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=module.WhoAmIRequest.SerializeToString,
        response_deserializer=module.WhoAmIResponse.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await who_am_i(
            module.WhoAmIRequest(), metadata=[("authorization", value) for value in values]
        )
    assert caught.value.code() is UNAUTHENTICATED


async def test_health_and_the_schema_need_no_proof(channel):
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert await check(b"") is not None


async def test_no_token_is_ever_in_the_log(people, tokens, stage, channel, log):
    good, bad = tokens
    for method in ("UserService/WhoAmI", "TaskService/Wait", "UserService/CreateToken"):
        for token in [*good.values(), *bad.values()]:
            await call(channel, method, fields_of(method, stage), token)
    written = log.getvalue()
    assert written.count('"rpc_finished"') > 20
    assert '"token_refused"' in written
    shown = [*people.tokens.values(), *good.values(), *bad.values()]
    assert [token for token in shown if token.rpartition(".")[2] and token in written] == []
    secret_parts = [token.split(".")[2] for token in shown if token.startswith("ff.")]
    assert [part for part in secret_parts if part in written] == []
    assert "hunter2" not in written
