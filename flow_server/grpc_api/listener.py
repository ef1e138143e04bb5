"""One port and the gRPC server behind it, which is made anew if it has died.

grpc.aio reads the names of calls in the loop that takes them all, and one that isn't UTF-8 ends
that loop: the port is closed for good, while the process and its other port live on.
"""

import asyncio
from collections.abc import Callable

import grpc
import structlog

from flow_contract.errors import InvalidArgument

log = structlog.get_logger()

_LOOK_EVERY_S = 0.5
_DIAL_TIMEOUT_S = 5
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  compared, not bound


class Listener:
    """`port` is the real one, also when 0 was asked for. `option` names it to people."""

    def __init__(
        self,
        make: Callable[[], grpc.aio.Server],
        *,
        host: str,
        port: int,
        credentials: Callable[[], grpc.ServerCredentials] | None,
        option: str,
    ) -> None:
        self._make = make
        self._host = host
        self._credentials = credentials
        self._option = option
        self._server = make()
        self.port = self._bind(self._server, port)

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()

    async def keep(self) -> None:
        """Look whether the port still takes connections, for ever; if not, listen anew."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if not await self._is_open():
                log.error("listener_died", port=self.port, option=self._option)
                await self._revive()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, give running ones `grace_s` seconds, end."""
        await self._server.stop(grace_s)

    async def _revive(self) -> None:
        dead, anew = self._server, self._make()
        self._bind(anew, self.port)
        await anew.start()
        self._server = anew
        log.info("listener_revived", port=self.port, option=self._option)
        try:
            await dead.stop(0)
        except ValueError as error:
            # What it died of is raised once more by its end.
            log.info("listener_ended", port=self.port, why=repr(error))

    async def _is_open(self) -> bool:
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                _, writer = await asyncio.open_connection(
                    _EVERYWHERE.get(self._host, self._host), self.port
                )
        except ConnectionRefusedError:
            return False
        except (OSError, TimeoutError):
            # Busy, or out of files: not dead.
            return True
        writer.transport.abort()
        return True

    def _bind(self, server: grpc.aio.Server, port: int) -> int:
        address = f"[{self._host}]:{port}" if ":" in self._host else f"{self._host}:{port}"
        try:
            if self._credentials is None:
                return int(server.add_insecure_port(address))
            # Good for one server only.
            return int(server.add_secure_port(address, self._credentials()))
        except RuntimeError:
            raise InvalidArgument(
                f"--{self._option}: can't listen on {address}; another process may be using "
                "it, so choose another port or 0 for any",
                field=self._option.replace("-", "_"),
            ) from None
