"""`fedflow webhook` as people and scripts call it, against a real server and a real receiver."""

import asyncio
import json

import pytest

from tests.cli.pages import documented
from tests.e2e.processes.children import run, until
from tests.e2e.processes.federation import PARTIES
from tests.server.receivers import Receiving

pytestmark = pytest.mark.postgres
NOWHERE = "0" * 32


@pytest.fixture
def receiver(tmp_path):
    receiving = Receiving(tmp_path, "200")
    yield receiving
    receiving.end()


def document(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def made(fedflow, receiver):
    """A webhook of every run here, deleted after the test: what `create` wrote."""
    url = asyncio.run(receiver.url())
    made = fedflow("webhook", "create", url, "--json")
    yield document(made)
    fedflow("webhook", "delete", document(made)["webhook_id"])


def test_a_run_s_end_is_delivered_and_the_delivery_is_listed(fedflow, write, receiver, made):
    file = write("true", parties=PARTIES[:1])
    assert fedflow("task", "start", file, "--wait").returncode == 0
    [told] = asyncio.run(receiver.received(1))
    assert json.loads(told["body"])["status"] == "Succeeded"
    number = made["webhook_id"]

    def listed():
        return document(fedflow("webhook", "deliveries", number, "--json"))

    # The receiver was answered; that it was is written down a moment later.
    until(lambda: listed()[0]["delivered_at"], listed)
    [delivery] = listed()
    assert sorted(delivery) == sorted(documented("webhook deliveries"))
    assert fedflow("webhook", "deliveries", number, "-o", "id").stdout.split() == [
        delivery["delivery_id"]
    ]
    shown = fedflow("webhook", "deliveries", number).stdout
    assert "delivered " in shown
    assert delivery["delivery_id"] in shown


def test_the_secret_goes_to_stdout_alone_and_webhooks_are_listed_until_they_are_deleted(
    fedflow, write, receiver
):
    url = asyncio.run(receiver.url())
    file = write("true")
    task = f"{file.stem}-task"
    task_id = document(fedflow("task", "create", "--json", *of(fedflow, file)))["task_id"]
    done = fedflow(
        "webhook", "create", url, "--task", task, "--secret-file", "-", given="s" * 20 + "\n"
    )
    assert (done.returncode, done.stdout) == (0, "s" * 20 + "\n")
    number = done.stderr.split()[1].rstrip(";")

    known = {each["webhook_id"]: each for each in document(fedflow("webhook", "list", "--json"))}
    assert (known[number]["url"], known[number]["task_id"]) == (url, task_id)
    assert sorted(known[number]) == sorted(documented("webhook list"))
    assert f"{task_id}  {url}" in fedflow("webhook", "list").stdout

    gone = fedflow("webhook", "delete", number)
    assert (gone.returncode, gone.stdout) == (0, f"{number} is gone\n")
    assert number not in fedflow("webhook", "list", "-o", "id").stdout


def of(fedflow, file):
    assert fedflow("template", "create", file).returncode == 0
    return (file,)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "ftp://hooks.example.org"), 2, "must begin with https://"),
        (("create", "http://hooks.example.org/"), 2, "must be https"),
        (("create", "https://me@hooks.example.org"), 2, "leave out user names"),
        (("create", "https://hooks.example.org", "--secret-file", "-"), 2, "at least 16"),
        (("create", "https://hooks.example.org", "--task", "nobody-s"), 3, "no task 'nobody-s'"),
        (("deliveries", NOWHERE), 3, "webhook"),
        (("delete", NOWHERE), 3, "webhook"),
        (("delete", "\x1b[2J"), 3, "webhook"),
    ],
)
def test_what_can_not_be_ends_by_the_one_table(fedflow, arguments, code, words):
    done = fedflow("webhook", *arguments, given="short")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_server_that_is_away_is_5():
    done = run("webhook", "list", FEDFLOW_SERVER="127.0.0.1:1")
    assert done.returncode == 5
