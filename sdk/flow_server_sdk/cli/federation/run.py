"""The life of a federation: server, then agents, then ready; agents, then server, then gone."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from flow_server_sdk.cli.federation import enrolling, profile, ready
from flow_server_sdk.cli.federation.child import Child
from flow_server_sdk.cli.federation.lines import Console
from flow_server_sdk.cli.federation.plan import SERVER, Plan
from flow_server_sdk.known_servers import Profile

READY_S = 180.0
AGENT_STOP_S = 90.0
SERVER_STOP_S = 30.0
_LOOK_S = 0.05


class Broken(Exception):
    """The federation can't go on; the text says in a sentence why."""


class _StopAsked(Exception):
    """Somebody wants the federation to end."""


class Federation:
    """One federation, run once."""

    def __init__(self, plan: Plan, console: Console, *, ready_file: Path | None = None) -> None:
        self._plan = plan
        self._console = console
        self._ready_file = ready_file
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Run until asked to stop, by a signal or `stop`; nothing is left afterwards.

        Raises:
            Broken: a child ended by itself, or was not ready in time.
        """
        loop = asyncio.get_running_loop()
        self._console.on_broken = self.stop
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            # Under nohup a closed terminal is no wish to stop.
            signals.append(signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        stop_asked = asyncio.create_task(self._stop.wait())
        try:
            await self._serve(stop_asked)
        except _StopAsked:
            self._console.note("stopping; Ctrl-C again to kill")
        finally:
            stop_asked.cancel()
            await self._end([child for child in self._children if child.name != SERVER])
            await self._end([child for child in self._children if child.name == SERVER])
            for number in signals:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Ask for an orderly end; a second time, for an immediate one."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _serve(self, stop_asked: "asyncio.Task[bool]") -> None:
        plan = self._plan
        for name in (SERVER, *plan.party_ids):
            # One that a killed predecessor left behind speaks of ports long gone.
            plan.ready_file(name).unlink(missing_ok=True)
        if not plan.insecure:
            await self._unless_stopped(enrolling.init(plan), stop_asked)
        await self._start(SERVER, plan.server_command())
        await self._until_ready([SERVER], stop_asked)
        addresses = ready.read(plan.ready_file(SERVER))
        if not plan.insecure:
            await self._unless_stopped(enrolling.enrol_all(plan, addresses["grpc"]), stop_asked)
        for party in plan.party_ids:
            await self._start(party, plan.agent_command(party, addresses["grpc"]))
        await self._until_ready(plan.party_ids, stop_asked)
        content = {
            "grpc": addresses["grpc"],
            "http": addresses["http"],
            "parties": plan.party_ids,
        }
        if not plan.insecure:
            content |= {"ca": str(plan.ca), "token_file": str(plan.admin_token)}
        with self._known(addresses["grpc"]), ready.published(self._ready_file, content):
            self._console.note(
                f"ready: {', '.join(plan.party_ids)} at {addresses['grpc']}; Ctrl-C stops all"
            )
            await self._news(stop_asked, timeout_s=None)

    @contextlib.contextmanager
    def _known(self, address: str) -> Iterator[None]:
        if self._plan.insecure:
            yield
            return
        ours = Profile(token_file=str(self._plan.admin_token), ca=str(self._plan.ca))
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(profile.published(address, ours))
            except (OSError, ValueError) as error:
                # The federation is none the worse; its clients need --ca and a token.
                self._console.note(f"clients are not told of it: {error}")
            yield

    async def _unless_stopped(
        self, work: Coroutine[Any, Any, None], stop_asked: "asyncio.Task[bool]"
    ) -> None:
        """Wait for the work; give it up when somebody wants the end, or a child has ended."""
        working = asyncio.create_task(work)
        try:
            while not working.done():
                await self._news(stop_asked, working, timeout_s=None)
            working.result()
        except enrolling.NotEnrolled as error:
            raise Broken(str(error).rstrip(".")) from None
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _start(self, name: str, command: list[str]) -> None:
        self._children.append(await Child.start(name, command, self._console))

    async def _until_ready(self, names: list[str], stop_asked: "asyncio.Task[bool]") -> None:
        give_up_at = time.monotonic() + READY_S
        while missing := [name for name in names if not self._plan.ready_file(name).exists()]:
            if time.monotonic() > give_up_at:
                raise Broken(f"{', '.join(missing)} was not ready within {READY_S:.0f} s")
            # Nothing tells of a file but looking; all else wakes us at once.
            await self._news(stop_asked, timeout_s=_LOOK_S)

    async def _news(
        self,
        stop_asked: "asyncio.Task[bool]",
        *others: "asyncio.Task[Any]",
        timeout_s: float | None,
    ) -> None:
        ended = {child.ended: child for child in self._children}
        awaited: set[asyncio.Task[Any]] = {stop_asked, *ended, *others}
        done, _ = await asyncio.wait(
            awaited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if stop_asked in done:
            raise _StopAsked
        for task, child in ended.items():
            if task in done:
                raise Broken(
                    f"{child.name} ended by itself with exit code {task.result()}; "
                    "its last lines above say why"
                )

    async def _end(self, children: list[Child]) -> None:
        for child in children:
            child.ask()
        grace_s = SERVER_STOP_S if any(c.name == SERVER for c in children) else AGENT_STOP_S
        give_up_at = time.monotonic() + grace_s
        hurry = asyncio.create_task(self._hurry.wait())
        running = {child.ended: child for child in children}
        while running and not hurry.done() and time.monotonic() < give_up_at:
            done, _ = await asyncio.wait(
                {hurry, *running},
                timeout=max(give_up_at - time.monotonic(), 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done - {hurry}:
                running.pop(task, None)
        hurry.cancel()
        for child in running.values():
            self._console.note(f"{child.name} is killed; what it ran may still be there")
            child.kill()
        await asyncio.gather(*(child.ended for child in children), return_exceptions=True)
