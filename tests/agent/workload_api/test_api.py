"""What a workload may say on its socket, and what it is answered."""

import asyncio
import json
import stat

import pytest

from party_agent.policy.rules import MayLeave
from party_agent.unit import SelfReport
from party_agent.workload_api import http
from tests.agent.fakes import until
from tests.agent.workload_api.conftest import connected

POINT = {"name": "loss", "value": 0.5, "step": 3, "time": 1_790_000_000.25}


async def test_a_workload_asks_which_run_it_is(place):
    await place.serve(epochs=7, hyper_parameter=("lr=1",))
    status, run = await place.ask("GET", "/v1/run")
    assert status == 200
    assert run["party_run_id"] == "run1"
    assert (run["rank"], run["world_size"], run["epochs"]) == (0, 2, 7)
    assert run["parties"] == ["hospital-a", "hospital-b"]
    assert run["hyper_parameter"] == ["lr=1"]


async def test_progress_and_messages_are_told_and_the_newest_counts(place):
    await place.serve()
    assert await place.post("/v1/progress", {"epoch": 1, "total": 5}) == (204, None)
    assert await place.post("/v1/progress", {"epoch": 2}) == (204, None)
    assert await place.post("/v1/messages", {"text": "warming up"}) == (204, None)
    assert place.says == SelfReport(current_epoch=2, total_epoch=5, note="warming up")


async def test_metrics_are_kept_in_the_order_of_the_requests(place):
    await place.serve()
    first = {"points": [POINT, {"name": "loss", "value": 1}, {"name": "accuracy", "value": 2}]}
    assert await place.post("/v1/metrics", first) == (200, {"stored": 3, "dropped": 0})
    batch = await place.host.next_batch()
    assert (batch.party_run_id, batch.first_sequence, batch.dropped) == ("run1", 1, 0)
    assert batch.points.names == ("loss", "loss", "accuracy")
    # Left out, a step is one more than the last of its name, and a time is now.
    assert batch.points.steps == (3, 4, 0)
    assert batch.points.at_us == (
        1_790_000_000_250_000,
        1_893_456_000_000_000,
        1_893_456_000_000_000,
    )
    assert batch.points.values == (0.5, 1, 2)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("progress", {}, "epoch"),
        ("progress", {"epoch": -1}, "epoch"),
        ("progress", {"epoch": 1.5}, "epoch"),
        ("progress", {"epoch": True}, "epoch"),
        ("progress", {"epoch": 1, "total": "many"}, "total"),
        ("progress", {"epoch": 1, "of": 5}, "of"),
        ("messages", {"text": ""}, "text"),
        ("messages", {"text": "x" * 1001}, "text"),
        ("messages", {"text": "\x00"}, "text"),
        ("messages", {"text": "\ud800"}, "text"),
        ("metrics", {"points": {}}, "points"),
        ("metrics", {"points": [POINT] * 10_001}, "points"),
        ("metrics", {"points": [7]}, "points[0]"),
        ("metrics", {"points": [POINT, {**POINT, "value": None}]}, "points[1].value"),
        ("metrics", {"points": [{**POINT, "value": "1"}]}, "points[0].value"),
        ("metrics", {"points": [{**POINT, "value": 10**400}]}, "points[0].value"),
        ("metrics", {"points": [{**POINT, "name": "x" * 129}]}, "points[0].name"),
        ("metrics", {"points": [{**POINT, "step": 0.5}]}, "points[0].step"),
        ("metrics", {"points": [{**POINT, "step": 2**63}]}, "points[0].step"),
        ("metrics", {"points": [{**POINT, "time": 1e15}]}, "points[0].time"),
        ("metrics", {"points": [{**POINT, "colour": 1}]}, "points[0].colour"),
        ("metrics", {"points": [], "batch": 5}, "batch"),
        ("metrics", {"points": [], "dropped": -1}, "dropped"),
        ("metrics", b"[", "body"),
        ("metrics", b"\xff", "body"),
        ("metrics", b"[" * 100_000, "body"),
        ("metrics", b"[]", "body"),
    ],
)
async def test_what_can_not_be_taken_is_refused_by_the_name_of_its_field(place, path, body, field):
    await place.serve()
    status, answer = await place.post(f"/v1/{path}", body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert answer["error"]["message"].startswith(f"{field}:")
    assert place.says == SelfReport()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("part", ["value", "step", "time"])
async def test_what_is_not_finite_is_refused_and_nothing_of_its_batch_is_kept(place, number, part):
    await place.serve()
    bad = json.dumps({**POINT, part: "?"}).replace('"?"', number)
    body = f'{{"points": [{json.dumps(POINT)}, {bad}]}}'.encode()
    status, answer = await place.post("/v1/metrics", body)
    assert (status, answer["error"]["field"]) == (400, f"points[1].{part}")
    assert await place.post("/v1/metrics", {"points": [POINT]}) == (
        200,
        {"stored": 1, "dropped": 0},
    )
    assert len((await place.host.next_batch()).points) == 1


async def test_a_path_that_does_not_exist_is_answered_with_those_that_do(place):
    await place.serve()
    status, answer = await place.ask("DELETE", "/v1/run")
    assert status == 404
    assert "GET /v1/run, POST /v1/progress" in answer["error"]["message"]


async def test_a_body_that_is_too_large_is_refused(place):
    await place.serve()
    status, answer = await place.post("/v1/metrics", b" " * (http.MAX_BODY_BYTES + 1))
    assert (status, answer["error"]["field"]) == (413, "body")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"POST /v1/progress HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so_and_cut_off(place, sent):
    await place.serve()

    def talk():
        with connected(place.socket_path()) as client:
            client.sendall(sent)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
            return answer

    answer = await asyncio.to_thread(talk)
    assert answer.split()[1].startswith(b"4")
    assert b"not HTTP/1.1" in answer
    assert (await place.ask("GET", "/v1/run"))[0] == 200


async def test_a_client_that_leaves_in_the_middle_of_a_body_changes_nothing(place):
    await place.serve()

    def talk():
        with connected(place.socket_path()) as client:
            client.sendall(
                b'POST /v1/progress HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"epoch": 1}'
            )

    await asyncio.to_thread(talk)
    assert (await place.ask("GET", "/v1/run"))[0] == 200
    assert place.says == SelfReport()


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(place):
    await place.serve()

    def talk():
        with connected(place.socket_path()) as client:
            body = b'{"epoch": 4}'
            head = f"Host: a\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
            client.sendall(b"POST /v1/progress HTTP/1.1\r\n" + head.encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
            client.sendall(body)
            return client.recv(65536)

    assert (await asyncio.to_thread(talk)).startswith(b"HTTP/1.1 204 ")
    assert place.says.current_epoch == 4


async def test_connections_beyond_the_limit_are_turned_away_and_the_others_go_on(place):
    await place.serve()
    clients = [connected(place.socket_path()) for _ in range(http.MAX_CONNECTIONS)]
    server = place.host._servers["run1"]
    await until(lambda: len(server._tasks) == http.MAX_CONNECTIONS)
    status, answer = await place.ask("GET", "/v1/run")
    assert status == 503
    assert "connections at once" in answer["error"]["message"]
    clients.pop().close()
    await until(lambda: len(server._tasks) < http.MAX_CONNECTIONS)
    assert (await place.ask("GET", "/v1/run"))[0] == 200
    for client in clients:
        client.close()


async def test_a_workload_that_floods_its_socket_holds_up_itself_and_no_other(place):
    await place.serve()
    await place.serve("run2")
    asked, flooding = 0, asyncio.Event()
    request = b"GET /v1/run HTTP/1.1\r\nHost: a\r\n\r\n"

    async def flood():
        nonlocal asked
        reader, writer = await asyncio.open_unix_connection(sock=connected(place.socket_path()))
        try:
            writer.write(request * 1_000)
            while True:
                await reader.readuntil(b"}\n")
                asked += 1
                if asked > 2 * http.REQUESTS_PER_S:
                    flooding.set()
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    floods = [asyncio.create_task(flood()) for _ in range(4)]
    await flooding.wait()
    took_s = loop.time() - began_s
    # The first second's worth is free, so those after it took their time.
    assert asked / http.REQUESTS_PER_S - 1 <= took_s + 0.1
    before_s = loop.time()
    assert (await place.ask("GET", "/v1/run", party_run_id="run2"))[0] == 200
    assert loop.time() - before_s < 30
    for task in floods:
        task.cancel()
    await asyncio.gather(*floods, return_exceptions=True)


async def test_the_socket_is_for_any_user_and_the_directory_for_nobody_to_change(place):
    await place.serve()
    folder = place.socket_path().parent
    assert stat.S_IMODE(place.socket_path().stat().st_mode) == 0o666
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o711
    modules = folder / "python" / "flow_worker"
    assert (modules / "__init__.py").is_file()
    assert {stat.S_IMODE(path.stat().st_mode) for path in modules.iterdir()} == {0o644}


async def test_a_workload_that_ended_has_no_directory_any_more(place):
    await place.serve()
    await place.host.end("run1")
    assert list((place.path / "api").iterdir()) == []
    assert list((place.path / "metrics").iterdir()) == []


async def test_points_that_may_not_leave_are_taken_and_kept_nowhere(place):
    place.may_leave = MayLeave(logs=True, metrics=False)
    await place.serve()
    points = [{"name": "secret", "value": 1}, {"name": "secret", "value": 2}]
    answer = await place.post("/v1/metrics", {"points": points, "dropped": 3})
    assert answer == (200, {"stored": 0, "dropped": 2})
    await place.post("/v1/messages", {"text": "on"})
    assert place.says.note == "on"
    # The server hears which rule kept them, and not that there were any.
    batch = await place.host.next_batch()
    assert (len(batch.points), batch.dropped, batch.withheld) == (0, 0, "leave.metrics")
    kept = [path.read_bytes() for path in (place.path / "metrics" / "run1").iterdir()]
    assert b"secret" not in b"".join(kept)


async def test_sentences_that_may_not_leave_are_told_to_nobody_and_epochs_are(place):
    place.may_leave = MayLeave(logs=False, metrics=True)
    await place.serve()
    assert (await place.post("/v1/messages", {"text": "secret"}))[0] == 204
    await place.post("/v1/progress", {"epoch": 1})
    assert place.says == SelfReport(current_epoch=1)


async def test_no_more_points_leave_than_the_site_s_bytes(place):
    place.may_leave = MayLeave(logs=True, metrics=True, metrics_max_bytes=1_000)
    await place.serve()
    stored = 0
    for _ in range(50):
        _, answer = await place.post("/v1/metrics", {"points": [{"name": "a", "value": 1}] * 3})
        stored += answer["stored"]
    assert 0 < stored < 100
    assert (place.path / "metrics" / "run1" / "points").stat().st_size < 1_200
