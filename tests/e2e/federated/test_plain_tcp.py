"""Programs that know nothing but TCP, between containers at sites that share no network."""

import hashlib

import pytest

from tests.e2e.federated.conftest import PARTIES
from tests.e2e.federated.sites import python
from tests.images import ensure_busybox_image

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.timeout(900)]

# Generous: the machine may be busy, and nothing waits this long when all is well.
RUN_S = 400
PORT = 9000
A, B, C = PARTIES
CONNECTIONS = 500
GIGABYTE = 1_000_000_000
PAGE_BYTES = 4_000_000


def ran(flow, task_id):
    """Return the task when its run has succeeded."""
    flow.start(task_id)
    final = flow.ended(task_id, timeout_s=RUN_S)
    assert final["status"] == "Succeeded", (final, flow.lines(task_id)[-50:])
    return final


@pytest.fixture
def dialled(flow, python_image):
    """Run dial.py at one site against serve.py at another: dialled(what, size) -> task id, task."""

    def run(what, size, *, held=0):
        task_id = flow.task(
            python_image, "dial", what, "{coordinator}", PORT, size, parties=(B,),
            coordinator={"command": python("serve", PORT, held), "ports": [PORT], "party": A},
        )  # fmt: skip
        return task_id, ran(flow, task_id)

    return run


def counted(final):
    """Return (sent, received, connections) of the party; the coordinator must say the same."""
    [party] = final["party_status"]
    [here] = party["traffic"]
    [there] = final["coordinator"]["traffic"]
    assert (here["peer"], there["peer"]) == ("coordinator", f"party-{B}")
    assert (here["sent_bytes"], here["received_bytes"], here["connections"]) == (
        there["received_bytes"], there["sent_bytes"], there["connections"],
    )  # fmt: skip
    return here["sent_bytes"], here["received_bytes"], here["connections"]


def test_a_plain_http_server_is_fetched_by_every_party(flow, python_image, engine_client):
    serve = (
        f"mkdir /tmp/web; head -c {PAGE_BYTES} /dev/urandom > /tmp/web/page; "
        f"sha256sum < /tmp/web/page; exec python3 -m http.server {PORT} -d /tmp/web"
    )
    fetch = f"wget -q -O - http://{{coordinator}}:{PORT}/page | sha256sum"
    task_id = flow.shell(
        ensure_busybox_image(engine_client), fetch, parties=PARTIES,
        coordinator={
            "image_url": python_image, "command": ["sh", "-c", serve],
            "ports": [PORT], "party": A,
        },
    )  # fmt: skip
    final = ran(flow, task_id)

    page = flow.lines(task_id, "coordinator")[0]
    assert page.split()[0] != hashlib.sha256(b"").hexdigest()
    for status in final["party_status"]:
        assert flow.lines(task_id, status["federated_id"]) == [page]
        assert status["traffic"][0]["received_bytes"] > PAGE_BYTES


def test_a_server_answers_a_client_that_has_said_its_end(flow, dialled):
    task_id, final = dialled("half", 3_000_000)
    [line] = flow.lines(task_id, B)
    size = int(line.removeprefix("answered after the end: "))
    assert counted(final) == (1 + 3_000_000, size, 1)


def test_single_bytes_pass_one_by_one_and_are_counted(flow, dialled):
    task_id, final = dialled("bytewise", 2000)
    assert flow.lines(task_id, B) == ["each byte came back"]
    assert counted(final) == (1 + 2000, 2000, 1)


def test_a_gigabyte_arrives_as_it_was_sent(flow, dialled):
    task_id, final = dialled("stream", GIGABYTE)
    assert flow.lines(task_id, B) == [f"took {GIGABYTE}"]
    # The server has heard the digest of what arrived.
    assert flow.lines(task_id, "coordinator") == ["same"]
    assert counted(final) == (1 + 8 + 64, GIGABYTE, 1)


def test_five_hundred_connections_are_open_at_once(flow, dialled):
    task_id, final = dialled("hold", CONNECTIONS, held=CONNECTIONS)
    assert flow.lines(task_id, B) == ["all answered"]
    assert flow.lines(task_id, "coordinator") == [f"held {CONNECTIONS}"] * CONNECTIONS
    assert counted(final) == (5 * CONNECTIONS, 4 * CONNECTIONS, CONNECTIONS)


def test_a_server_that_resets_is_a_reset_for_its_client(flow, dialled):
    task_id, _ = dialled("be_broken", 0)
    assert flow.lines(task_id, B) == ["was reset"]


def test_a_client_that_resets_is_a_reset_for_its_server(flow, dialled):
    task_id, _ = dialled("break_off", 0)
    assert flow.lines(task_id, B) == ["has reset"]
    assert flow.lines(task_id, "coordinator") == ["it was reset"]


def test_parties_of_a_mesh_dial_each_other_both_ways_and_no_port_that_is_not_declared(
    flow, python_image
):
    names = {party: f"party-{party}" for party in PARTIES}
    task_id = flow.task(
        python_image, "mesh", "{name}", PORT, *names.values(), parties=PARTIES, mesh=[PORT]
    )
    run_id = ran(flow, task_id)["run_id"]
    for party in PARTIES:
        told = [f"{name} says: {name} of {run_id}" for name in names.values()]
        refused = [f"{names[other]} refuses" for other in PARTIES if other != party]
        assert sorted(flow.lines(task_id, party)) == sorted(told + refused)
