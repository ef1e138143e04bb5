"""The relay: a thread with a loop of its own, so that neither calls nor leases wait for bytes."""

import asyncio
import contextlib
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

import structlog
import uvloop

from flow_contract.errors import InvalidArgument, Kind, Unavailable
from flow_contract.tunnels import Ticket
from flow_server.relay.attending import Attendant
from flow_server.relay.counts import RelayCounts
from flow_server.relay.limits import RelayLimits
from flow_server.relay.tickets import Tickets

log = structlog.get_logger()

_BACKLOG = 1024
_BEAT_S = 1.0
_HANGS_AFTER_S = 15.0


class Relay:
    """Listens from the beginning, and serves while `run` runs. `port` is the real one.

    The listening socket outlives `run`, so that who begins it again has the same port.
    """

    def __init__(
        self, *, host: str, port: int, address: str = "", limits: RelayLimits | None = None
    ) -> None:
        """Listen.

        Without `address` (host:port or :port) tickets name `port` and no host.

        Raises:
            InvalidArgument: host and port can't be listened on.
        """
        self._limits = limits or RelayLimits()
        self.counts = RelayCounts()
        self._tickets = Tickets(self._limits)
        self._listening = _listen(host, port)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self._address = address or f":{self.port}"
        self._thread: _Thread | None = None

    def issue(self, from_party_run: str) -> Ticket:
        """Return a new ticket for one connection that this party run opens. Any thread may ask.

        Raises:
            Unavailable: the relay does not run, or too many tickets wait to be used.
        """
        self.check()
        return self._tickets.issue(from_party_run, self._address)

    def withdraw(self, ticket: Ticket) -> None:
        """Let nobody use this ticket any more. Any thread may ask."""
        self._tickets.withdraw(ticket.tunnel_id)

    def check(self) -> None:
        """Do nothing if it serves.

        Raises:
            Unavailable: it doesn't.
        """
        if self._thread is None or not self._thread.is_well:
            raise Unavailable(
                "this server's relay does not run at the moment; try again", kind=Kind.SERVER
            )

    async def run(self) -> NoReturn:
        """Serve until cancelled; then all tunnels break.

        Raises:
            Exception: the thread ended by itself, of this; RuntimeError without a reason.
        """
        thread = self._thread = _Thread(self._listening, self._tickets, self._limits, self.counts)
        try:
            await thread.run()
        finally:
            self._thread = None

    def close(self) -> None:
        """Listen no more. May be called twice; `run` has ended before."""
        self._listening.close()


class _Thread:
    """One thread and its loop."""

    def __init__(
        self, listening: socket.socket, tickets: Tickets, limits: RelayLimits, counts: RelayCounts
    ) -> None:
        self._listening = listening
        self._tickets = tickets
        self._limits = limits
        self._counts = counts
        self._beat_s = time.monotonic()
        self._lock = threading.Lock()
        self._is_to_stop = False
        self._serving: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._end: Future[None] | None = None

    @property
    def is_well(self) -> bool:
        """Whether it was alive a moment ago."""
        is_alive = self._end is not None and not self._end.done()
        return is_alive and time.monotonic() - self._beat_s < _HANGS_AFTER_S

    async def run(self) -> NoReturn:
        """Run the thread until it ends, or until cancelled. See `Relay.run`."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay")
        self._end = executor.submit(self._work)
        try:
            await asyncio.wrap_future(self._end)
        finally:
            self._stop()
            # Some milliseconds: it waits for nobody.
            executor.shutdown()
        raise RuntimeError("the relay's thread ended without being asked")

    def _stop(self) -> None:
        with self._lock:
            self._is_to_stop = True
            if self._serving is not None:
                loop, task = self._serving
                loop.call_soon_threadsafe(task.cancel)

    def _work(self) -> None:
        with (
            contextlib.suppress(asyncio.CancelledError),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(self._serve())

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: a coroutine has its task
        beating = asyncio.create_task(self._beat())
        with self._lock:
            if self._is_to_stop:
                return
            self._serving = asyncio.get_running_loop(), task
        try:
            await Attendant(self._listening, self._tickets, self._limits, self._counts).run()
        finally:
            with self._lock:
                self._serving = None
            beating.cancel()

    async def _beat(self) -> NoReturn:
        while True:
            self._beat_s = time.monotonic()
            await asyncio.sleep(_BEAT_S)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InvalidArgument(
            f"--relay-port: can't listen on {host}:{port} ({error.strerror}); another process may "
            "be using it, so choose another port, 0 for any, or --no-relay",
            field="relay_port",
        ) from None
    listening.settimeout(0)
    return listening
