"""HTTP/2 frames of valid calls, changed and spliced, over TLS: each connection ends, none harms."""

import asyncio
import ssl

from tests.security import frames
from tests.security.fuzz.calls import methods
from tests.security.fuzz.changing import changed
from tests.security.fuzz.findings import ANSWER_S
from tests.security.fuzz.inputs import Inputs

AT_ONCE = 32
LOOK_EVERY = 100
LIST = "/fedflow.v1.TemplateService/List"


async def feed(findings, place, seed, count):
    """Open `count` connections that each send one changed flow of frames."""
    inputs = Inputs(seed, "frames", place.words)
    numbers = iter(range(count))
    known = methods()

    async def work():
        for number in numbers:
            random = inputs.random(number)
            flow = _flow(inputs, random, known)
            data = frames.opening() + _changed(random, flow, _flow(inputs, random, known))
            outcome = await _send(place, data)
            findings.ended("frames", outcome)
            if outcome == "neither answered nor closed":
                findings.find("frames", number, outcome, data)
            if number % LOOK_EVERY == 0:
                await place.alive()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def _changed(random, flow, other):
    # A name that isn't UTF-8 ends grpc.aio's port, which test_limits looks at: not here, or
    # there would be nothing but that.
    if random.random() < 0.5:
        return bytes(byte & 0x7F for byte in changed(random, flow, other))
    head = frames.frame(
        frames.HEADERS, frames.call_headers(LIST), flags=frames.END_HEADERS, stream=1
    )
    rest = frames.frame(frames.DATA, b"\0\0\0\0\0", stream=1)
    return head + changed(random, rest, rest)


def _flow(inputs, random, known):
    flow = b""
    for stream in range(1, 2 * random.randint(1, 3), 2):
        path, kind, _ = random.choice(known)
        message = inputs.message(random, kind).SerializeToString()
        flow += frames.call(path, message, stream=stream)
        flow += random.choice(_ALSO)(stream)
    return flow


_ALSO = (
    lambda _stream: b"",
    lambda stream: frames.frame(frames.RST_STREAM, b"\0\0\0\x08", stream=stream),
    lambda _stream: frames.frame(frames.PING, b"12345678"),
    lambda _stream: frames.frame(frames.WINDOW_UPDATE, b"\x7f\xff\xff\xff"),
    lambda _stream: frames.frame(frames.SETTINGS, b"\x00\x04\xff\xff\xff\xff"),
    lambda stream: frames.frame(frames.CONTINUATION, b"\x00", stream=stream),
)


async def _send(place, data):
    host, port = place.server.grpc_address.rsplit(":", 1)
    context = ssl.create_default_context(cadata=place.ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname="localhost"
    )
    outcome = "closed"
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(data)
            # A ping after it all is answered, unless a frame that was cut swallows it: then the
            # server's patience ends the connection.
            writer.write(frames.frame(frames.PING, b"the-last"))
            await writer.drain()
            got = b""
            while more := await reader.read(65_536):
                got += more
                if b"the-last" in got:
                    outcome = "goes on"
                    break
    except (ConnectionError, ssl.SSLError):
        pass
    except TimeoutError:
        outcome = "neither answered nor closed"
    finally:
        writer.transport.abort()
    return outcome
