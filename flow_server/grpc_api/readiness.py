"""Keeps gRPC's health service saying what /readyz says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NoReturn

import structlog
from grpc_health.v1 import health, health_pb2

from flow_contract.errors import Unavailable

LOOK_EVERY_S: Final = 1.0

log = structlog.get_logger()


async def keep_health(
    servicer: health.aio.HealthServicer,
    names: Sequence[str],
    check_ready: Callable[[], Awaitable[None]],
    told: Callable[[bool], None],
) -> NoReturn:
    """Ask `check_ready` for ever, and tell the health service, and `told`, what it says.

    Once the service has been told that the server ends it says NOT_SERVING whatever comes.
    """
    was_ready = True
    while True:
        is_ready = True
        try:
            await check_ready()
        except Unavailable as error:
            is_ready = False
            if was_ready:
                log.warning("not_ready", why=error.message)
        if is_ready and not was_ready:
            log.info("ready_again")
        if is_ready != was_ready:
            status = health_pb2.HealthCheckResponse
            for name in names:
                await servicer.set(name, status.SERVING if is_ready else status.NOT_SERVING)
        was_ready = is_ready
        told(is_ready)
        await asyncio.sleep(LOOK_EVERY_S)
