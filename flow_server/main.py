"""One flow server as a process: log, signals, exit code."""

import asyncio
import contextlib
import resource
import signal
import sys

import structlog

from flow_contract.errors import FlowError
from flow_server.app import FlowServer
from flow_server.logs import configure
from flow_server.settings import ServerSettings

log = structlog.get_logger()


def run(settings: ServerSettings) -> int:
    """Serve until SIGINT or SIGTERM; return the process's exit code."""
    configure(level=settings.log_level, as_json=settings.log_json)
    _allow_many_files()
    return asyncio.run(_serve(settings))


def _allow_many_files() -> None:
    """Ask for as many open files as the system allows; every connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(settings: ServerSettings) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    server = FlowServer(settings)
    starting = asyncio.create_task(server.start())
    stopping = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return 0
        starting.result()
        await stopping
        log.info("server_stopping")
    except FlowError as error:
        # For whoever sits at the terminal: a sentence, not a log line.
        sys.stderr.write(f"Error: {error.message}\n")
        return 1
    finally:
        stopping.cancel()
        await server.aclose()
    log.info("server_stopped")
    return 0
