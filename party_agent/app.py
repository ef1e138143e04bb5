"""The agent put together: settings and a runtime in, a connected site out.

Many agents may live in one event loop; nothing here is global.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from party_agent import machine
from party_agent.arrival import open_patiently
from party_agent.audit import AuditLog
from party_agent.backoff import Backoff
from party_agent.clock import Clock, SystemClock
from party_agent.contact import Contact
from party_agent.control import Control
from party_agent.gpus import GpuInventory
from party_agent.identity.doors import door_of
from party_agent.identity.renewal import renewal_of
from party_agent.inventory import inventory_of
from party_agent.link import Link
from party_agent.logs_out.pusher import LogPusher
from party_agent.logs_out.spools import spools_of
from party_agent.metric_push import MetricPush
from party_agent.outputs_out.pusher import OutputPusher
from party_agent.outputs_out.spools import output_spools_of
from party_agent.outputs_out.taking import OutputTaking
from party_agent.policy.chosen import policy_of
from party_agent.policy.site import Site
from party_agent.ready_file import write_ready_file
from party_agent.retention import Retention, keep_of
from party_agent.runtime.port import Runtime
from party_agent.settings import AgentSettings
from party_agent.tasks import first_of
from party_agent.telemetry.listener import listen
from party_agent.telemetry.observed import (
    ObservedApiHost,
    ObservedJournal,
    ObservedRefusals,
    ObservedReporter,
    ObservedSpools,
    ObservedTunnels,
)
from party_agent.telemetry.telemetry import AgentTelemetry
from party_agent.tunnel.parts import tunnels_of
from party_agent.units import Units

# For the last reports to be acknowledged before an agent with nothing left to do leaves. What
# is not acknowledged by then stands in the journal, and the next agent sends it.
LAST_REPORTS_S = 5.0

log = structlog.get_logger()


class Agent:
    """One party's agent. `connected` is set while the server's assignments are current."""

    def __init__(
        self,
        settings: AgentSettings,
        runtime: Runtime,
        *,
        gpus: GpuInventory | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random.random,
        telemetry: AgentTelemetry | None = None,
    ) -> None:
        """Take the state directory; `gpus` None means those that the settings name.

        Raises:
            StateDirInUse: another agent is using the state directory.
            StateDirUnusable: it can't be read or written.
            IdentityMissing: there is nowhere to have an identity in.
            PolicyInvalid: the policy file can't be followed.
        """
        policy = policy_of(settings)
        self._settings = settings
        telemetry = self._telemetry = telemetry or AgentTelemetry()
        metrics, story = telemetry.metrics, telemetry.story
        runtime = self._runtime = telemetry.around(runtime)
        self._closing = asyncio.Event()
        self._draining = asyncio.Event()
        self._done = asyncio.Event()
        self._is_running = False
        self._clock = clock = clock or SystemClock()
        gpus = gpus or GpuInventory(ids=settings.gpus)
        self._audit = AuditLog(settings.state_dir)
        self._journal = ObservedJournal(metrics, story, settings.state_dir, self._audit)
        contact = Contact(self._journal, clock)
        self._reporter = ObservedReporter(metrics, story)
        site = Site(
            party_id=settings.party,
            rules=policy.rules,
            cpus=machine.cpus(),
            memory_bytes=machine.memory_bytes(),
        )
        state_dir = settings.state_dir
        outputs = state_dir.absolute() / "outputs" if state_dir is not None else None
        # What the memory runtime runs are scripts that can call nobody.
        api_dir = state_dir.absolute() if state_dir and runtime.name != "memory" else None
        uploads = output_spools_of(settings)
        taking = None if uploads is None else OutputTaking(uploads, lambda: policy.rules.may_leave)
        more = (lambda _: {}) if taking is None else taking.routes
        api = ObservedApiHost(metrics, api_dir, clock.now, more=more)
        spools = spools_of(settings, partial(ObservedSpools, metrics))
        watch = ObservedTunnels(metrics, self._audit)
        self._tunnels = tunnels_of(
            settings, runtime=runtime, policy=policy, clock=clock, watch=watch
        )
        telemetry.follow(state_dir, spools, len(gpus.ids))
        self.units = Units(
            site=site,
            policy=policy,
            runtime=runtime,
            journal=self._journal,
            reporter=self._reporter,
            gpus=gpus,
            clock=clock,
            contact=contact,
            outputs=outputs,
            api=api,
            logs=spools,
            uploads=uploads,
            tunnels=self._tunnels,
        )
        self._retention = Retention(
            keep=keep_of(settings),
            units=self.units,
            runtime=runtime,
            journal=self._journal,
            clock=clock,
            outputs=outputs,
            spools=spools,
            api=api,
            uploads=uploads,
        )
        door = door_of(settings, clock)
        self._logs = LogPusher(
            settings, door, spools, may_write=self._may_write, clock=clock, random=random
        )
        self._control = Control(units=self.units, state_dir=state_dir)
        self._link = Link(
            target=settings.server,
            door=door,
            refusals=ObservedRefusals(
                metrics, self._audit, server=settings.server, party=settings.party
            ),
            federated_id=settings.party,
            name=settings.name,
            instance_id=self._journal.instance_id,
            inventory=inventory_of(runtime.name, site, gpus, coordinates=settings.coordinator),
            units=self.units,
            reporter=self._reporter,
            clock=clock,
            contact=contact,
            backoff=Backoff(
                first_s=settings.first_backoff_s, max_s=settings.max_backoff_s, random=random
            ),
            keepalive_s=settings.keepalive_s,
            max_backoff_s=settings.max_backoff_s,
            streams=(
                MetricPush(federated_id=settings.party, host=api, clock=clock).run,
                self._tunnels.stream,
            ),
            offered=self._tunnels.offer,
        )
        telemetry.held, telemetry.connected = lambda: self.units.held, self.connected.is_set
        self._outputs = OutputPusher(
            settings,
            door,
            uploads,
            outputs,
            may_write=self._may_write,
            rules=lambda: policy.rules.may_leave,
            clock=clock,
            random=random,
        )
        self._renewal = renewal_of(
            settings, clock=clock, random=random, on_renewed=self._link.dial_anew
        )

    @property
    def connected(self) -> asyncio.Event:
        """Set while the server's assignments are current."""
        return self._link.connected

    async def run(self) -> None:
        """Serve until `aclose`; returns when everything is released.

        Raises:
            DirectUnusable: other sites can't dial this one where its policy says.
            ListenerUnusable: metrics can't be shown where the settings say.
            RuntimeUnavailable: the runtime does not answer at the start, nor soon after.
            StateDirUnusable: the journal can't be read.
        """
        self._is_running = True
        try:
            if not self._closing.is_set():
                await self._serve()
        finally:
            await self._telemetry.aclose()
            await self.units.aclose()
            await self._runtime.aclose()
            self._journal.close()
            self._audit.close()
            self._done.set()

    @property
    def is_leaving(self) -> bool:
        """Whether the agent was asked to leave, now or when its workloads have ended."""
        return self._closing.is_set() or self._draining.is_set()

    def drain_soon(self) -> None:
        """Ask `run` to refuse what is new and to end when nothing is left; does not wait."""
        self._draining.set()

    def close_soon(self) -> None:
        """Ask `run` to end; does not wait for it."""
        self._closing.set()

    async def aclose(self) -> None:
        """Let `run` end, and wait for it. May come before `run`, and twice."""
        self.close_soon()
        if self._is_running:
            await self._done.wait()
        else:
            self._journal.close()
            self._audit.close()

    async def _serve(self) -> None:
        await listen(self._telemetry.listener, self._settings.metrics_listen)
        patience_s = self._settings.runtime_wait_s
        opening = open_patiently(self._runtime, self._clock, patience_s=patience_s)
        await first_of(opening, self._asked_to_close())
        if self._closing.is_set():
            return
        await self._tunnels.listen()
        await self.units.open()
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._link.run(),
                self._say_ready(),
                self._retention.run(),
                self._logs.run(),
                self._outputs.run(),
                *([] if self._renewal is None else [self._renewal.run()]),
                self._control.run(),
                self._telemetry.run(),
            )
        ]
        try:
            await first_of(self._asked_to_close(), self._drained())
            if self._settings.on_exit == "stop":
                await self.units.stop_all()
                await self._say_last_words(self._reporter.drained())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _asked_to_close(self) -> None:
        await self._closing.wait()

    async def _drained(self) -> None:
        await self._draining.wait()
        log.info("agent_drains", held=len(self.units.party_run_ids))
        self.units.drain()
        telling = asyncio.ensure_future(self._link.drain())
        try:
            await self.units.ended()
            await self._say_last_words(telling)
            await self._say_last_words(self._reporter.drained())
        finally:
            telling.cancel()
        if self._reporter.unacknowledged:
            log.warning("reports_left_to_the_next_agent", reports=self._reporter.unacknowledged)

    async def _say_last_words(self, words: Awaitable[None]) -> None:
        """Wait until the server has heard, for a moment; not at all without a session."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_REPORTS_S if self.connected.is_set() else 0):
                await words

    def _may_write(self, party_run_id: str) -> bool:
        unit = {unit.party_run_id: unit for unit in self.units.held}.get(party_run_id)
        # Not in the journal that a kill left: the server may order it again.
        return not self.connected.is_set() if unit is None else not unit.removed

    async def _say_ready(self) -> None:
        await self.connected.wait()
        path = self._settings.ready_file
        if path is not None:
            said = {"party": self._settings.party, "server": self._settings.server}
            write_ready_file(path, {**said, "runtime": self._runtime.name})
