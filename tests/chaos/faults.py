"""One fault: when its step is there it strikes, lasts, and is repaired."""

import asyncio
import signal
from collections import defaultdict

from tests.chaos.daemon import Daemon
from tests.chaos.database import commit_held, signal_all
from tests.chaos.place import Place
from tests.chaos.proxy import Proxy, Weather
from tests.chaos.schedule import CUTS, Fault, Harm
from tests.chaos.steps import Progress

_SIGNALS = {
    Harm.KILL: signal.SIGKILL,
    Harm.RESTART: signal.SIGTERM,
    Harm.PAUSE: signal.SIGSTOP,
}
# PostgreSQL's own word for "disconnect everybody and leave in order".
_POSTGRES_SIGNALS = {**_SIGNALS, Harm.RESTART: signal.SIGINT}


class Faults:
    """Brings faults over one place; no part is hurt twice at the same time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def bring(self, fault: Fault, progress: Progress) -> bool:
        """Return True after strike and repair, False if its step never came."""
        if not await progress.reached(fault.step, [fault.at]):
            return False
        await asyncio.sleep(fault.jitter_s)
        async with self._locks[fault.part]:
            if fault.in_commit:
                async with commit_held(self._place.database.url):
                    self._strike(fault)
            else:
                self._strike(fault)
            await self._struck(fault)
            await asyncio.sleep(fault.duration_s)
            await self._repair(fault)
        return True

    def _strike(self, fault: Fault) -> None:
        if fault.harm in CUTS:
            self._link(fault.part).set(Weather(fault.harm.value))
        elif fault.part == "postgres":
            number = _POSTGRES_SIGNALS[fault.harm]
            if fault.harm is Harm.PAUSE:
                self._paused = self._place.database.pid
                if self._paused is not None:
                    signal_all(self._paused, number)
            else:
                self._place.database.strike(number)
        elif fault.harm is Harm.PAUSE:
            self._daemon(fault.part).signal(signal.SIGSTOP)
        else:
            self._daemon(fault.part).strike(_SIGNALS[fault.harm])

    async def _struck(self, fault: Fault) -> None:
        if fault.harm in (Harm.KILL, Harm.RESTART):
            part = self._place.database if fault.part == "postgres" else self._daemon(fault.part)
            await part.ended()

    async def _repair(self, fault: Fault) -> None:
        if fault.harm in CUTS:
            link = self._link(fault.part)
            if fault.repair == "reset":
                link.reset()
            link.set(Weather.CLEAR)
        elif fault.part == "postgres" and fault.harm is Harm.PAUSE:
            if self._paused is not None:
                signal_all(self._paused, signal.SIGCONT)
        elif fault.part == "postgres":
            await self._place.database.restart()
        elif fault.harm is Harm.PAUSE:
            self._daemon(fault.part).signal(signal.SIGCONT)
        else:
            await self._daemon(fault.part).start()

    def _daemon(self, part: str) -> Daemon:
        what, _, number = part.partition("-")
        if what == "agent":
            return self._place.sites[int(number)].agent
        return self._place.servers[int(number)]

    def _link(self, part: str) -> Proxy:
        if part == "client":
            return self._place.client_link
        return self._place.sites[int(part.partition("-")[2])].link
