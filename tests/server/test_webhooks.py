"""Who asked is told of each run that ends: signed, again until it is taken, within bounds."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from flow_server.domain import webhooks as rules
from tests.server.flows import make_task
from tests.server.receivers import Receiving

ONE = ["hospital-a"]
DOCS = Path(__file__).parents[2] / "docs" / "events.md"


@pytest.fixture
def server_options():
    return {"webhook_allowed": ["127.0.0.1"], "webhook_timeout_s": 1}


@pytest.fixture
def receive(tmp_path):
    made = []

    def receive(*modes):
        made.append(Receiving(tmp_path, *modes))
        return made[-1]

    yield receive
    for each in made:
        each.end()


@pytest.fixture
def soon(monkeypatch):
    """A retry comes at once: waiting is not what these tests are about."""
    monkeypatch.setattr(rules, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(rules, "LONGEST_RETRY_S", 0.01)


async def run_once(sdk, connect, name="task-1", exit_code=0):
    agent = await connect("hospital-a")
    task_id = await make_task(sdk, ONE, name=name)
    await sdk.task.start(task_id)
    await agent.prepare()
    await agent.finish(await agent.launch(), exit_code)
    return task_id


async def deliveries(sdk, webhook_id, condition):
    async with asyncio.timeout(60):
        while True:
            found = (await sdk.webhook.deliveries(webhook_id))["data"]["deliveries"]
            if condition(found):
                return found
            # The receiver was answered; that it was is written down a moment later.
            await asyncio.sleep(0.02)


def is_genuine():
    """The receiver's own check, as the documentation shows it."""
    [code] = re.findall(r"```python\n(import hashlib.*?)```", DOCS.read_text(), re.DOTALL)
    scope = {}
    exec(code, scope)  # noqa: S102 - our own documentation
    return scope["is_genuine"]


async def test_an_end_is_told_once_signed_as_the_documentation_says(sdk, connect, receive):
    receiver = receive("200")
    made = (await sdk.webhook.create(await receiver.url()))["data"]
    task_id = await run_once(sdk, connect)
    [told] = await receiver.received(1)
    body = json.loads(told["body"])
    assert body["type"] == "run.ended"
    assert (body["task_id"], body["status"], body["task_name"]) == (task_id, "Succeeded", "task-1")
    assert body["will_be_retried"] is False
    assert told["path"] == "/hook?a=b"
    check, header = is_genuine(), told["headers"]["fedflow-signature"]
    assert check(made["secret"], header, told["body"].encode())
    assert not check(made["secret"], header, told["body"].encode() + b" ")
    assert not check("another", header, told["body"].encode())
    assert not check(made["secret"], "t=1,v1=00", told["body"].encode())
    [known] = await deliveries(sdk, made["webhook_id"], lambda found: found[0]["delivered_at"])
    assert known["delivery_id"] == told["headers"]["fedflow-delivery"]
    assert (known["attempts"], known["http_status"], known["next_at"]) == (1, 200, None)
    assert len(receiver.so_far()) == 1


@pytest.mark.parametrize("fault", ["500", "302", "reset", "hang", "drip"])
async def test_a_receiver_that_fails_is_told_again_with_the_same_id(
    sdk, connect, receive, soon, fault
):
    receiver = receive(fault, "204")
    made = (await sdk.webhook.create(await receiver.url()))["data"]
    await run_once(sdk, connect, exit_code=3)
    first, second = await receiver.received(2)
    assert first["body"] == second["body"]
    assert json.loads(first["body"])["status"] == "Failed"
    ids = {told["headers"]["fedflow-delivery"] for told in (first, second)}
    [known] = await deliveries(sdk, made["webhook_id"], lambda found: found[0]["delivered_at"])
    assert ids == {known["delivery_id"]}
    assert known["attempts"] == 2


async def test_an_answer_without_an_end_is_not_read(sdk, connect, receive):
    receiver = receive("flood")
    made = (await sdk.webhook.create(await receiver.url()))["data"]
    await run_once(sdk, connect)
    [known] = await deliveries(
        sdk, made["webhook_id"], lambda found: found and found[0]["delivered_at"]
    )
    assert known["attempts"] == 1


async def test_one_that_hangs_holds_up_no_other(sdk, connect, receive):
    hangs, works = receive("hang"), receive("200")
    await sdk.webhook.create(await hangs.url())
    await sdk.webhook.create(await works.url())
    for number in range(3):
        agent = await connect("hospital-a")
        task_id = await make_task(sdk, ONE, name=f"task-{number}")
        await sdk.task.start(task_id)
        await agent.prepare()
        await agent.finish(await agent.launch())
        await agent.cut()
    assert len(await works.received(3)) == 3


async def test_what_fails_for_a_day_is_given_up(sdk, connect, receive, soon, monkeypatch):
    monkeypatch.setattr(rules, "GIVEN_UP_AFTER_S", 0.0)
    made = (await sdk.webhook.create(await receive("500").url()))["data"]
    await run_once(sdk, connect)
    found = await deliveries(
        sdk, made["webhook_id"], lambda found: found and found[0]["given_up_at"]
    )
    assert (found[0]["problem"], found[0]["next_at"]) == ("answered 500", None)


async def test_a_webhook_of_one_task_hears_of_no_other(sdk, connect, receive):
    receiver = receive("200")
    first = await make_task(sdk, ONE, name="first")
    await sdk.webhook.create(await receiver.url(), task_id=first)
    agent = await connect("hospital-a")
    for task_id in (await make_task(sdk, ONE, name="second"), first):
        await sdk.task.start(task_id)
        await agent.prepare()
        await agent.finish(await agent.launch())
        agent.assignments.clear()
    [told] = await receiver.received(1)
    assert json.loads(told["body"])["task_id"] == first


async def test_what_ended_before_is_not_told_and_a_deleted_one_hears_nothing(sdk, connect, receive):
    await run_once(sdk, connect)
    receiver = receive("200")
    kept = (await sdk.webhook.create(await receiver.url()))["data"]["webhook_id"]
    gone = (await sdk.webhook.create(await receiver.url()))["data"]["webhook_id"]
    assert (await sdk.webhook.delete(gone))["ret_code"] == 0
    assert (await sdk.webhook.delete(gone))["ret_code"] == 10410
    await run_once(sdk, connect, name="later")
    [told] = await receiver.received(1)
    assert json.loads(told["body"])["task_name"] == "later"
    shown = (await sdk.webhook.list())["data"]["webhooks"]
    assert [hook["webhook_id"] for hook in shown] == [kept]
    assert "secret" not in shown[0]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/", "https"),
        ("https://10.0.0.1/", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("https://[::ffff:10.0.0.1]/", "not a public address"),
        ("https://169.254.169.254/latest", "not a public address"),
        ("ftp://example.org/", "https"),
        ("https://user:pass@example.org/", "user names"),
        ("https://example.org/ HTTP/1.1\r\nx: y", "%XX"),
        ("https://example.org:99999/", "not a URL"),
        ("https:///path", "host"),
        ("", "https"),
        ("https://example.org/" + "a" * 3000, "more than"),
    ],
)
async def test_a_url_that_leads_where_none_may_is_refused(sdk, url, words):
    answer = await sdk.webhook.create(url)
    assert answer["ret_code"] == 10000
    assert "url" in answer["ret_msg"]
    assert words in answer["ret_msg"]


async def test_a_name_that_leads_inside_is_refused_when_it_is_posted_to(sdk, connect, engine):
    # A public name when it was made, and then one of this machine.
    made = (await sdk.webhook.create("https://hooks.example.org/"))["data"]
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE webhooks SET url = 'https://localhost:1/'")
    await run_once(sdk, connect)
    [known] = await deliveries(sdk, made["webhook_id"], lambda found: found and found[0]["problem"])
    # 127.0.0.1 is allowed here and ::1 is not; where there is no IPv6, nobody listens.
    assert known["http_status"] == 0


async def test_a_short_secret_is_refused_and_a_given_one_is_used(sdk, connect, receive):
    receiver = receive("200")
    assert (await sdk.webhook.create(await receiver.url(), secret="short"))["ret_code"] == 10000
    made = await sdk.webhook.create(await receiver.url(), secret="correct horse battery")
    assert made["data"]["secret"] == "correct horse battery"
    await run_once(sdk, connect)
    [told] = await receiver.received(1)
    header = told["headers"]["fedflow-signature"]
    assert is_genuine()("correct horse battery", header, told["body"].encode())
