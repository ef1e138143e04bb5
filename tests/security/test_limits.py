"""Floods and slow connections at a real server: it cuts or refuses, and honest callers go on."""

import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from flow_wire import agents_pb2 as pb
from flow_wire import agents_pb2_grpc
from tests.security import frames
from tests.security.served import ServerProcess

HANDSHAKE_S = IDLE_S = 2
REQUEST_S = 8
MAX_GROWTH_BYTES = 150 * 1024 * 1024
LIST = "/fedflow.v1.TemplateService/List"
CONNECTIONS = 10
FRAMES = 3000
MIB = 1024 * 1024


@pytest.fixture
async def flooded(tmp_path, database_url):
    """A server with little patience; at the end it has answered, and its memory is bounded."""
    server = ServerProcess(
        tmp_path,
        database_url,
        handshake_timeout_s=HANDSHAKE_S,
        connection_idle_s=IDLE_S,
        request_timeout_s=REQUEST_S,
        max_streams_per_connection=20,
    )
    await server.start()
    await server.answers()
    before = server.rss_bytes()
    yield server
    assert server.process.poll() is None
    await server.answers()
    assert server.rss_bytes() - before < MAX_GROWTH_BYTES
    await server.aclose()


async def attack(server, send, *, connections=CONNECTIONS, tls=True, address=None):
    """Let `send` use so many connections; return what each got until the server closed it.

    Honest calls are answered meanwhile.
    """

    def one():
        ca_pem = server.ca_pem if tls else None
        with frames.dial(address or server.address, ca_pem=ca_pem, timeout_s=60) as connection:
            # An attacker whose buffers are full gives up sooner than the server.
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                send(connection)
            connection.settimeout(60)
            return frames.read_until_closed(connection)

    # A thread for each: the loop's own pool lets few of them attack at once.
    with ThreadPoolExecutor(connections) as pool:
        loop = asyncio.get_running_loop()
        attacks = asyncio.gather(*(loop.run_in_executor(pool, one) for _ in range(connections)))
        while not attacks.done():
            await server.answers()
            await asyncio.wait({attacks}, timeout=0.2)
        return await attacks


def half_a_hello(connection):
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    half = context.wrap_bio(into, out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = out.read()
    connection.sendall(hello[: len(hello) // 2])


async def test_a_connection_that_does_not_finish_its_tls_handshake_is_closed(flooded):
    # At once: each of them waits for as long as the server does.
    ways = [
        (send, address)
        for send in (lambda _connection: None, half_a_hello)
        for address in (flooded.address, flooded.agents_address)
    ]
    attacks = (attack(flooded, send, tls=False, address=address) for send, address in ways)
    assert await asyncio.gather(*attacks) == [[b""] * CONNECTIONS] * len(ways)


def slowly(connection):
    for byte in frames.PREFACE * 1000:
        connection.send(bytes([byte]))
        # The attacker's own pace.
        if connection in _readable(connection, 0.25):
            return


def _readable(connection, timeout_s):
    connection.settimeout(timeout_s)
    try:
        connection.recv(1)
    except TimeoutError:
        return []
    finally:
        connection.settimeout(60)
    return [connection]


async def test_a_preface_that_comes_byte_by_byte_is_cut_off(flooded):
    await attack(flooded, slowly, connections=5)


UNENDED = frames.frame(frames.HEADERS, frames.call_headers(LIST), stream=1)
IDLE_SENDERS = {
    "nothing after the handshake": frames.opening(),
    "headers without an end": frames.opening() + UNENDED,
    "a call without its request": frames.opening()
    + frames.frame(frames.HEADERS, frames.call_headers(LIST), flags=frames.END_HEADERS, stream=1),
    "half a request": frames.opening()
    + frames.frame(frames.HEADERS, frames.call_headers(LIST), flags=frames.END_HEADERS, stream=1)
    + frames.frame(frames.DATA, b"\0\0\0\xff\xff" + b"x" * 100, stream=1),
}


async def test_a_connection_that_begins_and_does_not_go_on_is_closed(flooded):
    async def idle(about, data):
        try:
            await attack(flooded, lambda connection: connection.sendall(data))
        except Exception as error:
            error.add_note(about)
            raise

    # At once: each of them waits for as long as the server does.
    await asyncio.gather(*(idle(about, data) for about, data in IDLE_SENDERS.items()))


def flood(*each, opening=b""):
    def send(connection):
        connection.settimeout(3)
        connection.sendall(frames.opening() + opening)
        for number in range(FRAMES // 100):
            connection.sendall(b"".join(one(number * 100 + n) for n in range(100) for one in each))

    return send


FLOODS = {
    "continuations": flood(
        lambda _n: frames.frame(frames.CONTINUATION, b"\x00\x01a\x01b" * 20, stream=1),
        opening=UNENDED,
    ),
    "empty continuations": flood(
        lambda _n: frames.frame(frames.CONTINUATION, stream=1), opening=UNENDED
    ),
    "settings": flood(lambda _n: frames.frame(frames.SETTINGS, b"\x00\x04\x00\x01\x00\x00")),
    "pings": flood(lambda _n: frames.frame(frames.PING, b"12345678")),
    "rapid resets": flood(
        lambda n: frames.call(LIST, stream=2 * n + 1),
        lambda n: frames.frame(frames.RST_STREAM, b"\0\0\0\x08", stream=2 * n + 1),
    ),
    "streams": flood(
        lambda n: frames.frame(
            frames.HEADERS, frames.call_headers(LIST), flags=frames.END_HEADERS, stream=2 * n + 1
        )
    ),
}


@pytest.mark.parametrize("send", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_frames_is_cut_off_while_others_are_answered(flooded, send):
    await attack(flooded, send, connections=4)


async def test_metadata_over_the_limit_are_refused(flooded):
    call = flooded.users.unary_unary(LIST)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"", metadata=(("x", "y" * 20_000),), timeout=30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    [other] = await many(lambda: call(b"", metadata=(("x", "y" * 10_000),), timeout=30), 1)
    # Read, and found to name nobody.
    assert other.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_message_over_the_limit_is_refused(flooded):
    create = flooded.users.unary_unary("/fedflow.v1.TemplateService/Create")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(b"\0" * (17 * MIB), timeout=30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_name_that_is_no_text_closes_the_port_for_a_moment_only(flooded):
    def send(connection):
        connection.sendall(frames.opening() + frames.call(b"/fedflow.v1.\xff\xfe"))

    with frames.dial(flooded.address, ca_pem=flooded.ca_pem) as connection:
        send(connection)
        frames.read_until_closed(connection)
    for _ in range(100):
        with contextlib.suppress(grpc.aio.AioRpcError):
            return await flooded.answers()
        await asyncio.sleep(0.1)
    pytest.fail("the port did not open again")


async def test_half_an_http_request_is_cut_off(flooded):
    host, _, port = flooded.http.rpartition(":")
    halves = [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", b"GET /"]

    def one(data):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(data)
            return frames.read_until_closed(connection)

    # At once: each of them waits for as long as the server does.
    got = await asyncio.gather(*(asyncio.to_thread(one, data) for data in halves))
    assert got == [b""] * len(halves)


async def many(call, count):
    answers = await asyncio.gather(*(call() for _ in range(count)), return_exceptions=True)
    return [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]


def is_exhausted(error):
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_token_over_its_rate_is_told_when_to_try_again_and_others_are_not(secure):
    flow = await secure(calls_per_token_per_s=0.01, calls_per_token_burst=3)
    call = flow.users().unary_unary("/fedflow.v1.TemplateService/Get")

    async def with_token(token):
        return await call(b"", metadata=(("authorization", f"Bearer {token}"),), timeout=30)

    refused = await many(lambda: with_token("one"), 10)
    exhausted = [each for each in refused if is_exhausted(each)]
    assert len(exhausted) == 7
    assert "try again in 1" in exhausted[0].details()
    [other] = await many(lambda: with_token("another"), 1)
    assert not is_exhausted(other)


async def test_who_guesses_enrolment_tokens_is_stopped_with_a_right_one_too(secure):
    flow = await secure(wrong_enrolments_per_address_per_min=3)
    token = await flow.add("hospital-a")
    wrong = await many(lambda: flow.enrol(token, b"", secret="A" * 43), 3)
    assert {each.code() for each in wrong} == {grpc.StatusCode.UNAUTHENTICATED}
    [refused] = await many(lambda: flow.enrol(token, b""), 1)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "wrong tokens from this address" in refused.details()


async def test_more_calls_at_once_than_an_address_may_have_are_refused(secure):
    flow = await secure(calls_per_address_at_once=2)
    channel = flow.users()
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
    watching = [watch(b""), watch(b"")]
    for each in watching:
        await each.read()
    [refused] = await many(lambda: channel.unary_unary(LIST)(b"", timeout=30), 1)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for each in watching:
        each.cancel()


async def test_a_party_that_dials_in_a_loop_is_slowed_and_others_are_not(secure):
    flow = await secure(connects_per_party_per_min=1)
    proof, other = await flow.proof_for("hospital-a"), await flow.proof_for("hospital-b")
    channel = flow.dial(flow.server.agents_address, proof.credentials)

    async def dial():
        call = agents_pb2_grpc.AgentServiceStub(channel).Connect()
        await call.write(pb.AgentMessage(heartbeat=pb.Heartbeat()))
        return await call.code()

    codes = [await dial() for _ in range(22)]
    assert codes[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
    await flow.agent("hospital-b", other).connect()


async def test_an_agent_and_a_wait_are_not_idle(secure):
    flow = await secure(connection_idle_s=0.5, request_timeout_s=0.5)
    agent = flow.agent("hospital-a", await flow.proof_for("hospital-a"))
    await agent.connect()
    channel = flow.users()
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
    await watch.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asyncio.wait({asyncio.create_task(watch.read()), agent._reader},
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    watch.cancel()
