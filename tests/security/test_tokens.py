"""What a token lets through, and how fast that ends: also where a call is under way."""

import asyncio
import contextlib

import grpc
import pytest

from flow_contract.access import Role
from flow_contract.errors import Forbidden, Unauthenticated
from flow_server.services.sign_in import SignIn
from flow_server.storage.database import Database
from flow_server_sdk import AsyncFlowServerSdk
from flow_wire import tasks_pb2, tasks_pb2_grpc
from tests.security.people import execute, token_id
from tests.security.secure_server import secure_server

PARTY = [{"federated_id": "hospital-a", "federated_data": ""}]


async def waiting_task(server, sdk):
    """Make a task whose run has a known, absent party, so that it goes on for a minute."""
    await execute(
        server,
        "INSERT INTO parties (federated_id, name, instance_id, epoch, lease_expires_at, inventory)"
        " VALUES ('hospital-a', 'A', 'one', 1, now(),"
        ' \'{"runtime": "", "agent_version": "", "cpus": 0, "memory_bytes": 0, "gpu_ids": [],'
        ' "data_names": []}\') ON CONFLICT DO NOTHING',
    )
    template = await sdk.template.create("digits", "image:1", "", ["run"])
    task = await sdk.task.create("train", template["data"]["template_id"], "", PARTY)
    task_id = task["data"]["task_id"]
    started = await sdk.task.start(task_id)
    assert started["ret_code"] == 0, started
    return task_id


async def wait_stream(channel, task_id, token):
    """Open a wait; return it once it has told of the task."""
    stream = tasks_pb2_grpc.TaskServiceStub(channel).Wait(
        tasks_pb2.WaitTaskRequest(task_id=task_id),
        metadata=(("authorization", f"Bearer {token}"),),
    )
    assert (await stream.read()).task.task_id == task_id
    return stream


async def ended(stream):
    async with asyncio.timeout(20):
        with contextlib.suppress(grpc.aio.AioRpcError):
            assert await stream.read() is grpc.aio.EOF
        return await stream.code()


async def until_refused(sdk):
    while True:
        await sdk.user.whoami()


async def test_the_first_admin_is_the_one_that_init_left_and_no_second_time(
    server, people, database_url, tmp_path
):
    assert (await people.admin.user.whoami())["data"]["name"] == "admin"
    await people.admin.user.add("ben", "admin")
    other = tmp_path / "other"
    other.mkdir()
    # Another replica with another bootstrap file: there are users already.
    async with secure_server(database_url, other):
        users = await people.admin.user.list()
    assert [user["name"] for user in users["data"]["users"]] == ["admin", "ben"]


async def test_a_revoked_token_is_refused_at_once_and_its_running_wait_ends(
    server, people, sdk_of, channel
):
    token = await people.add("ana", Role.RESEARCHER)
    ana = await sdk_of(token)
    task_id = await waiting_task(server, ana)
    stream = await wait_stream(channel, task_id, token)
    await people.admin.user.revoke_token(token_id(token))
    assert await ended(stream) is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(Unauthenticated, match="not accepted"):
        await ana.task.get(task_id)


async def test_a_disabled_users_running_wait_ends_and_an_enabled_one_may_come_back(
    server, people, sdk_of, channel
):
    token = await people.add("ana", Role.RESEARCHER)
    ana = await sdk_of(token)
    task_id = await waiting_task(server, ana)
    stream = await wait_stream(channel, task_id, token)
    await people.admin.user.disable("ana")
    assert await ended(stream) is grpc.StatusCode.UNAUTHENTICATED
    await people.admin.user.enable("ana")
    assert (await ana.task.get(task_id))["ret_code"] == 0


async def test_who_may_no_longer_see_all_hears_no_more_of_anothers_task(
    server, people, sdk_of, channel
):
    task_id = await waiting_task(server, await sdk_of(await people.add("ana", Role.RESEARCHER)))
    stream = await wait_stream(channel, task_id, await people.add("olga", Role.OPERATOR))
    await people.admin.user.set_role("olga", "researcher")
    assert await ended(stream) is grpc.StatusCode.PERMISSION_DENIED


async def test_another_replica_refuses_a_revoked_token_too(
    server, people, sdk_of, database_url, tmp_path
):
    token = await people.add("ana", Role.RESEARCHER)
    other = tmp_path / "other"
    other.mkdir()
    async with secure_server(database_url, other) as second:
        host, port = second.address.rsplit(":", 1)
        async with AsyncFlowServerSdk(host, port, token=token, ca=second.ca) as there:
            assert (await there.user.whoami())["data"]["name"] == "ana"
            await people.admin.user.revoke_token(token_id(token))
            # Its wake-up comes over the database, a moment later; sooner than it would ask itself.
            async with asyncio.timeout(4):
                with pytest.raises(Unauthenticated):
                    await until_refused(there)


async def test_a_token_makes_none_that_may_more(people, sdk_of):
    await people.add("ana", Role.RESEARCHER)
    reading = await sdk_of(await people.token_of("ana", scopes=["read"]))
    with pytest.raises(Forbidden, match="run"):
        await reading.user.create_token(scopes=["read", "run"])
    made = (await reading.user.create_token())["data"]
    assert made["scopes"] == ["read"]
    # Nor does a promotion give it more than was meant.
    await people.admin.user.set_role("ana", "admin")
    assert (await (await sdk_of(made["token"])).user.whoami())["data"]["rights"] == ["read"]


async def test_a_token_that_only_manages_makes_no_token_that_does_more(people, sdk_of):
    managing = await sdk_of(await people.token_of("admin", scopes=["manage"]))
    answer = await managing.user.create_token("admin")
    assert answer["data"]["scopes"] == ["manage"]
    await people.add("vic", Role.VIEWER)
    assert (await managing.user.create_token("vic"))["ret_code"] == 10000


async def test_the_last_admin_can_be_neither_demoted_nor_disabled(people):
    for attempt in (
        people.admin.user.set_role("admin", "viewer"),
        people.admin.user.disable("admin"),
    ):
        answer = await attempt
        assert answer["ret_code"] == 10502
        assert "last admin" in answer["ret_msg"]


async def test_two_admins_who_disable_each_other_at_once_leave_one(people, sdk_of):
    ben = await sdk_of(await people.add("ben", Role.ADMIN))
    for _ in range(5):
        answers = await asyncio.gather(
            people.admin.user.disable("ben"), ben.user.disable("admin"), return_exceptions=True
        )
        left = await execute(
            people.served, "SELECT name FROM users WHERE role = 'admin' AND disabled_at IS NULL"
        )
        assert len(left) == 1, answers
        await execute(people.served, "UPDATE users SET disabled_at = NULL")


async def test_what_is_listed_of_a_token_is_enough_to_know_it_and_no_secret(people, sdk_of):
    token = await people.add("ana", Role.RESEARCHER, label="laptop", valid_days=3)
    ana = await sdk_of(token)
    await ana.template.list()
    (listed,) = (await ana.user.tokens())["data"]["tokens"]
    assert (listed["token_id"], listed["label"]) == (token_id(token), "laptop")
    assert token.split(".")[2] not in str(listed)


async def test_an_unknown_user_role_or_token_has_its_number(people):
    admin = people.admin
    assert (await admin.user.create_token("nobody"))["ret_code"] == 10500
    assert (await admin.user.tokens("nobody"))["ret_code"] == 10500
    assert (await admin.user.set_role("nobody", "viewer"))["ret_code"] == 10500
    assert (await admin.user.add("admin", "viewer"))["ret_code"] == 10501
    assert (await admin.user.revoke_token("0" * 12))["ret_code"] == 10510
    assert (await admin.user.add("Ana@there", "viewer"))["ret_code"] == 10000
    assert (await admin.user.add("ana", "king"))["ret_code"] == 10000
    assert (await admin.user.create_token(valid_days=0))["ret_code"] == 10000
    assert (await admin.user.create_token(scopes=[]))["ret_code"] == 10000


async def test_a_secret_given_as_an_id_is_not_repeated(people):
    answer = await people.admin.user.revoke_token(people.served.admin_token)
    assert answer["ret_code"] == 10510
    assert people.served.admin_token.split(".")[2] not in answer["ret_msg"]


async def test_a_researcher_lists_their_own_tasks_and_runs_carry_who_asked(
    server, people, sdk_of, channel
):
    ana = await sdk_of(await people.add("ana", Role.RESEARCHER))
    rob = await sdk_of(await people.add("rob", Role.RESEARCHER))
    olga = await sdk_of(await people.add("olga", Role.OPERATOR))
    task_id = await waiting_task(server, ana)
    assert (await rob.task.list(1, 10))["data"] == {"tasks": [], "task_count": 0}
    for sdk in (ana, olga, people.admin):
        assert (await sdk.task.list(1, 10))["data"]["task_count"] == 1
    rows = await execute(server, "SELECT owner, requested_by FROM tasks JOIN runs USING (task_id)")
    assert rows == [("ana", "ana")]
    await olga.task.stop(task_id)
    await execute(server, "UPDATE tasks SET owner = ''")
    with pytest.raises(Forbidden):
        await ana.task.get(task_id)
    assert (await people.admin.task.get(task_id))["ret_code"] == 0


async def test_the_use_of_tokens_is_written_down_for_all_at_once(server, people, engine):
    token = await people.add("ana", Role.RESEARCHER)
    sign_in = SignIn(Database(engine))
    await sign_in.caller_of(token)
    (unused,) = (await people.admin.user.tokens("ana"))["data"]["tokens"]
    await sign_in.note_uses()
    (used,) = (await people.admin.user.tokens("ana"))["data"]["tokens"]
    assert (unused["last_used_at"], used["last_used_at"] is not None) == (None, True)


async def test_a_good_token_is_believed_for_five_seconds_and_no_longer(server, people, engine):
    token = await people.add("ana", Role.RESEARCHER)
    now_s = 100.0
    sign_in = SignIn(Database(engine), clock_s=lambda: now_s)
    await sign_in.caller_of(token)
    await execute(server, "UPDATE tokens SET revoked_at = now() WHERE user_name = 'ana'")
    # Nothing woke it: it could not know.
    now_s += 4.9
    assert (await sign_in.caller_of(token)).name == "ana"
    now_s += 0.2
    with pytest.raises(Unauthenticated):
        await sign_in.caller_of(token)


@pytest.mark.parametrize("how", ["token", "user", "all"])
async def test_a_wake_up_ends_the_belief_at_once(server, people, engine, how):
    token = await people.add("ana", Role.RESEARCHER)
    sign_in = SignIn(Database(engine))
    await sign_in.caller_of(token)
    await execute(server, "UPDATE tokens SET revoked_at = now() WHERE user_name = 'ana'")
    if how == "all":
        sign_in.forget_all()
    else:
        sign_in.changed({"token": f"token:{token_id(token)}", "user": "user:ana"}[how])
    with pytest.raises(Unauthenticated):
        await sign_in.caller_of(token)


async def test_the_right_id_with_a_wrong_secret_is_never_believed(people, engine):
    token = await people.add("ana", Role.RESEARCHER)
    sign_in = SignIn(Database(engine))
    await sign_in.caller_of(token)
    forged = f"ff.{token_id(token)}.{'A' * 43}"
    with pytest.raises(Unauthenticated):
        await sign_in.caller_of(forged)
    assert (await sign_in.caller_of(token)).name == "ana"
