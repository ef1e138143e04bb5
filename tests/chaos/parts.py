"""What can be hurt, each with its own way to be struck and repaired."""

import asyncio
import signal
from typing import Protocol

from tests.chaos.daemon import Daemon
from tests.chaos.database import signal_all
from tests.chaos.leftovers import workload_processes
from tests.chaos.packets import Dropped, why_not
from tests.chaos.parties import PartyPart
from tests.chaos.place import Place, Site
from tests.chaos.proxy import Proxy, Weather
from tests.chaos.schedule import Fault, Harm
from tests.chaos.toll import Toll
from tests.chaos.victims import WorkloadPart

# A drain ends with the last workload, for which its own bounds are shorter.
DRAIN_S = 50.0

_SIGNALS = {
    Harm.KILL: signal.SIGKILL,
    Harm.RESTART: signal.SIGTERM,
    Harm.DRAIN: signal.SIGTERM,
    Harm.PAUSE: signal.SIGSTOP,
}
# PostgreSQL's own word for "disconnect everybody and leave in order".
_POSTGRES_SIGNALS = {**_SIGNALS, Harm.RESTART: signal.SIGINT}


class Part(Protocol):
    """One part, and one harm to it. `repair` also ends what was struck halfway."""

    async def strike(self) -> None: ...

    async def struck(self) -> None:
        """Return when what was to end has ended."""

    async def repair(self) -> None: ...


class DaemonPart:
    """A server or an agent."""

    def __init__(self, daemon: Daemon, harm: Harm, toll: Toll) -> None:
        self._daemon = daemon
        self._harm = harm
        self._toll = toll

    async def strike(self) -> None:
        if self._harm is Harm.PAUSE:
            self._daemon.signal(signal.SIGSTOP)
        else:
            self._daemon.strike(_SIGNALS[self._harm])

    async def struck(self) -> None:
        if self._harm is Harm.PAUSE:
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._daemon.ended()
        except TimeoutError:
            self._toll.findings.append(
                f"{self._daemon.name} has not ended {DRAIN_S:.0f} s after its {self._harm}"
            )
            self._daemon.signal(signal.SIGKILL)
            await self._daemon.ended()

    async def repair(self) -> None:
        if self._harm is Harm.PAUSE:
            self._daemon.signal(signal.SIGCONT)
        else:
            await self._daemon.start()


class DrainPart(DaemonPart):
    """An agent that leaves when what runs has ended."""

    def __init__(self, site: Site, toll: Toll) -> None:
        super().__init__(site.agent, Harm.DRAIN, toll)
        self._site = site

    async def struck(self) -> None:
        await super().struck()
        left = workload_processes(self._site.workloads)
        self._toll.findings += [
            f"{self._site.party} was drained, and left {command} running"
            for command in left.values()
        ]


class PostgresPart:
    """The place's database."""

    def __init__(self, place: Place, harm: Harm) -> None:
        self._database = place.database
        self._harm = harm
        self._paused: int | None = None

    async def strike(self) -> None:
        number = _POSTGRES_SIGNALS[self._harm]
        if self._harm is not Harm.PAUSE:
            self._database.strike(number)
            return
        self._paused = self._database.pid
        if self._paused is not None:
            signal_all(self._paused, number)

    async def struck(self) -> None:
        if self._harm is not Harm.PAUSE:
            await self._database.ended()

    async def repair(self) -> None:
        if self._paused is not None:
            signal_all(self._paused, signal.SIGCONT)
        if self._harm is not Harm.PAUSE:
            await self._database.restart()


class LinkPart:
    """What lies between an agent, or the client, and the servers."""

    def __init__(self, place: Place, link: Proxy, fault: Fault) -> None:
        self._link = link
        self._fault = fault
        self._dropped = Dropped(link.port)
        self._weather = Weather.SILENT if fault.harm is Harm.DROP else Weather(fault.harm.value)
        self._drops = fault.harm is Harm.DROP and not why_not()
        if fault.harm is Harm.DROP and not self._drops:
            place.notes.append(f"{fault.part} was silent, no packets dropped: {why_not()}")

    async def strike(self) -> None:
        if self._drops:
            await self._dropped.start()
        else:
            self._link.set(self._weather)

    async def struck(self) -> None:
        """At once."""

    async def repair(self) -> None:
        await self._dropped.end()
        if self._fault.repair == "reset":
            self._link.reset()
        self._link.set(Weather.CLEAR)


class EnginePart:
    """The private engine of one site."""

    def __init__(self, place: Place, harm: Harm) -> None:
        self._engine = place.engine
        self._harm = harm
        if self._engine is None:
            place.notes.append("no engine was hurt: there is none of our own here")

    async def strike(self) -> None:
        if self._engine is not None:
            self._engine.strike(_SIGNALS[self._harm])

    async def struck(self) -> None:
        if self._engine is not None and self._harm is not Harm.PAUSE:
            await asyncio.to_thread(self._engine.ended)

    async def repair(self) -> None:
        if self._engine is None:
            return
        if self._harm is Harm.PAUSE:
            self._engine.strike(signal.SIGCONT)
        else:
            await asyncio.to_thread(self._engine.restart)


def part_of(place: Place, fault: Fault, toll: Toll) -> Part:
    """Return what `fault` hurts, ready to be struck."""
    what, _, number = fault.part.partition("-")
    site = place.sites[int(number)] if number and what != "server" else None
    if what == "postgres":
        return PostgresPart(place, fault.harm)
    if what == "engine":
        return EnginePart(place, fault.harm)
    if what == "client":
        return LinkPart(place, place.client_link, fault)
    if site is None:
        return DaemonPart(place.servers[int(number)], fault.harm, toll)
    return _part_of_site(place, site, fault, toll)


def _part_of_site(place: Place, site: Site, fault: Fault, toll: Toll) -> Part:
    what = fault.part.partition("-")[0]
    if what == "party":
        return PartyPart(place, fault, toll)
    if what == "workload":
        return WorkloadPart(place, site, fault.harm, toll)
    if what == "link":
        return LinkPart(place, site.link, fault)
    if fault.harm is Harm.DRAIN:
        return DrainPart(site, toll)
    return DaemonPart(site.agent, fault.harm, toll)
