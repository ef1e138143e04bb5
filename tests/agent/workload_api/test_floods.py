"""A workload that floods its socket, or clings to it, holds up itself and no other."""

import asyncio
import contextlib
import json

import pytest

from party_agent.workload_api import folder, http
from party_agent.workload_api.http import Answer, Patience, WorkloadServer
from tests.agent.workload_api.conftest import connected

IMPATIENT = Patience(read_s=0.2, head_s=0.2, idle_s=0.2, turn_away_s=0.2)


@pytest.fixture
async def impatient(tmp_path):
    """A socket's path; what serves it waits for nobody."""

    async def handle(request):
        return Answer(status=200, document={"bytes": len(await request.body())})

    server = WorkloadServer(handle, patience=IMPATIENT)
    await server.start(folder.listen(tmp_path))
    yield tmp_path / folder.SOCKET
    await server.aclose()


async def test_connections_that_nobody_has_a_place_for_are_not_even_accepted(place):
    await place.serve()
    await place.serve("run2")
    clients = [connected(place.socket_path()) for _ in range(100)]
    server = place.host._servers["run1"]
    most = http.MAX_CONNECTIONS + http.MAX_TURNED_AWAY
    while len(server._tasks) < most:  # noqa: ASYNC110  accepting tells nobody
        await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert len(server._tasks) == most
    assert (await place.ask("GET", "/v1/run", party_run_id="run2"))[0] == 200
    for client in clients:
        client.close()
    assert (await place.ask("GET", "/v1/run"))[0] == 200


async def test_connections_in_a_row_are_let_in_no_faster_than_their_number_a_second(place):
    await place.serve()
    loop = asyncio.get_running_loop()
    began_s, asked = loop.time(), 0
    while asked < 2 * http.CONNECTIONS_PER_S:
        assert (await place.ask("GET", "/v1/run"))[0] == 200
        asked += 1
    assert asked / http.CONNECTIONS_PER_S - 1 <= loop.time() - began_s + 0.1


@pytest.mark.parametrize(
    "head", [b"POST /v1/metrics HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nX: "]
)
async def test_who_sends_a_head_byte_by_byte_is_cut_off(impatient, head):
    reader, writer = await asyncio.open_unix_connection(sock=connected(impatient))
    writer.write(head)
    with contextlib.suppress(OSError):
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)
    writer.close()


async def test_who_never_sends_the_body_or_takes_no_answer_is_cut_off(impatient):
    silent, writer = await asyncio.open_unix_connection(sock=connected(impatient))
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
    assert await silent.read() == b""
    writer.close()
    deaf = connected(impatient)
    deaf.setblocking(False)  # noqa: FBT003  the socket's own signature
    loop = asyncio.get_running_loop()
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1"

    async def flood():
        while True:
            await loop.sock_sendall(deaf, request * 100)

    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        await flood()
    deaf.close()


async def test_many_points_at_once_are_taken_no_faster_than_their_bytes_a_second(place):
    await place.serve()
    points = [{"name": "a", "value": n + 0.5, "step": n} for n in range(10_000)]
    bodies = [json.dumps({"points": points, "batch": f"{n}"}).encode() for n in range(20)]
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for body in bodies:
        assert (await place.ask("POST", "/v1/metrics", body))[0] == 200
    # Each is paid for by the next.
    paid_bytes = sum(map(len, bodies[:-1]))
    assert paid_bytes / http.BODY_BYTES_PER_S - 1 <= loop.time() - began_s + 0.1
