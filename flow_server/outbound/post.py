"""One HTTP POST: to an address that was looked at, bounded in time, its answer's body unread.

The name is resolved once, and the address that was checked is the one that is dialled: a name
that changes its mind between the two leads nowhere else. No proxy, no redirect.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Collection, Mapping
from ipaddress import ip_address

import h11

from flow_contract.errors import InvalidArgument
from flow_server.domain.webhooks import Target, require_allowed, target_of

_READ_BYTES = 16_384


class NotPosted(Exception):
    """No answer came; the text says why, for people."""


async def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    allowed: Collection[str],
    timeout_s: float,
) -> int:
    """Return the answer's status; the whole takes `timeout_s` at most.

    Raises:
        NotPosted: there was no answer, or the URL leads where it may not.
    """
    try:
        async with asyncio.timeout(timeout_s):
            target = target_of(url, allowed=allowed)
            address = await _resolved(target, allowed)
            return await _exchange(target, address, headers, body)
    except TimeoutError:
        raise NotPosted(f"no answer within {timeout_s:g} s") from None
    except InvalidArgument as error:
        raise NotPosted(error.message) from error
    except (OSError, h11.ProtocolError, ValueError) as error:
        raise NotPosted(str(error) or type(error).__name__) from error


async def _resolved(target: Target, allowed: Collection[str]) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port)
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        # All of them: which one is dialled must not be a matter of luck.
        require_allowed(target.host, ip_address(address), allowed=allowed)
    if not addresses:
        raise NotPosted(f"{target.host} has no address")
    return addresses[0]


async def _exchange(target: Target, address: str, headers: Mapping[str, str], body: bytes) -> int:
    reader, writer = await asyncio.open_connection(
        address,
        target.port,
        ssl=ssl.create_default_context() if target.is_tls else None,
        server_hostname=target.host if target.is_tls else None,
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        host = f"[{target.host}]" if ":" in target.host else target.host
        request = h11.Request(
            method="POST",
            target=target.path,
            headers=[
                ("host", f"{host}:{target.port}"),
                ("content-length", str(len(body))),
                ("connection", "close"),
                *headers.items(),
            ],
        )
        for part in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(part) or b"")
        with contextlib.suppress(ConnectionError):
            # Who answers early may close early; what it said is what counts.
            await writer.drain()
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                return event.status_code
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.ConnectionClosed):
                raise NotPosted("the connection was closed without an answer")
    finally:
        # The rest of the answer, however long, is not waited for.
        writer.transport.abort()
