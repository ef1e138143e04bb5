"""Runs workloads as containers of one Docker Engine.

What may run half-way through is decided here: a verb's calls to the engine run to their end
even if the caller is cancelled, and the next verb of the same party run waits for them.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from flow_contract.reasons import Reason
from party_agent.runtime.confinement import Confinement
from party_agent.runtime.docker_engine import commands, refusals, translate
from party_agent.runtime.docker_engine.cages import Cages
from party_agent.runtime.docker_engine.client import Json
from party_agent.runtime.docker_engine.containers import Containers
from party_agent.runtime.docker_engine.doubts import Doubts
from party_agent.runtime.docker_engine.entries import Entries
from party_agent.runtime.docker_engine.errors import EngineError, understood
from party_agent.runtime.docker_engine.events import EventStream
from party_agent.runtime.docker_engine.images import Images
from party_agent.runtime.docker_engine.keyed import KeyedWork
from party_agent.runtime.docker_engine.networks import Networks
from party_agent.runtime.docker_engine.sandbox import SandboxPool
from party_agent.runtime.docker_engine.translate import container_name
from party_agent.runtime.docker_engine.watched import WatchedEngine
from party_agent.runtime.neighbours.ways import Ways
from party_agent.runtime.port import (
    Bind,
    Neighbour,
    Observation,
    Phase,
    Progress,
    PulledImage,
    Sockets,
    Workload,
)
from party_agent.runtime.told import Told
from party_agent.runtime.watch import CallWatch, unwatched

DEFAULT_POOL_SIZE = 2
DEFAULT_CALL_TIMEOUT_S = 120.0


class DockerRuntime:
    """A `Runtime` on a Docker Engine of API 1.41 (20.10) or newer.

    `agent_key` tells the containers of this agent from those of others on the same engine;
    it must stay the same over a restart. `base_url` None means the environment's engine, as
    for the docker command. `pool_size` sandboxes are kept ready.
    """

    name = "docker"

    def __init__(
        self,
        *,
        agent_key: str,
        base_url: str | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        call_timeout_s: float = DEFAULT_CALL_TIMEOUT_S,
        confinement: Confinement | None = None,
        ways: Ways | None = None,
        watch: CallWatch = unwatched,
    ) -> None:
        self._engine = WatchedEngine(watch, base_url=base_url, call_timeout_s=call_timeout_s)
        self._pool = SandboxPool(self._engine, agent_key=agent_key, size=pool_size)
        self._cages = Cages(self._engine, confinement or Confinement(), agent_key=agent_key)
        ways = ways or Ways()
        self._networks = Networks(self._engine, self._pool, agent_key=agent_key, folder=ways.folder)
        self._entries = Entries(self._engine, ways, agent_key=agent_key)
        self._containers = Containers(
            self._engine, self._pool, self._networks, self._cages, agent_key=agent_key
        )
        self._work = KeyedWork()
        self._pulls = Told[PulledImage]()
        self._images = Images(self._engine, self._work, pulled=self._pulled)
        self._events = EventStream(
            self._engine,
            labels={translate.LABEL_AGENT: agent_key},
            seen=self._seen,
            connected=self._reconcile,
        )
        self._exits = Told[str]()
        self._opened = False
        # Launched here or found running, and not yet told to have ended.
        self._watched: set[str] = set()
        self._doubts = Doubts(self._engine)

    async def open(self) -> None:
        """Connect, watch, and adopt what an earlier agent of the same key left."""
        self._exits = Told()
        self._pulls = Told()
        self._opened = True
        try:
            with understood("open"):
                await self._engine.open()
                await self._cages.open()
                await self._events.open()
                workloads = await self._containers.listen()
                self._watched = translate.running(workloads)
                await self._pool.open(self._containers.adopt(workloads))
                await self._networks.tidy(translate.party_runs(workloads), at_once=True)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what is under way, remove idle sandboxes, disconnect; workloads run on."""
        if not self._opened:
            return
        self._opened = False
        await self._events.aclose()
        self._exits.close()
        self._pulls.close()
        await self._work.aclose()
        self._networks.opened.close()
        await self._containers.aclose()
        await self._pool.aclose()
        await self._engine.aclose()

    async def prepare(self, workload: Workload, progress: Progress) -> str:
        """See `Runtime.prepare`; a cancelled one leaves at most what the next call adopts."""
        await self._sidecar_image(workload, progress)
        with understood("prepare"), self._images.needed(workload.image_url):
            image = await self._images.present(workload.image_url, progress)
            return await self._work.run(
                workload.party_run_id, lambda: self._prepared(workload, image)
            )

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:  # noqa: ARG002 - all alike
        """See `Runtime.host_of`: names stand in the sandbox's hosts file, of itself too."""
        return neighbour.name

    async def sockets(self, workload: Workload) -> Sockets:
        """See `Runtime.sockets`."""
        await self._sidecar_image(workload, _untold)
        with understood("open sockets"):
            return await self._work.run(workload.party_run_id, lambda: self._opened_in(workload))

    def path_of(self, bind: Bind) -> str:
        """Return where it is mounted."""
        return bind.target

    async def launch(self, workload: Workload) -> Observation:
        """See `Runtime.launch`."""
        try:
            with understood("launch"):
                return await self._work.run(workload.party_run_id, lambda: self._launched(workload))
        finally:
            self._pool.want()

    async def inspect(self, party_run_id: str) -> Observation | None:
        """See `Runtime.inspect`."""
        with understood("inspect"):
            container = await self._containers.find(party_run_id)
            return None if container is None else await self._observed(container)

    async def list(self) -> "list[Observation]":
        """See `Runtime.list`."""
        with understood("list"):
            seen = await asyncio.gather(
                *(self._observed(container) for container in await self._containers.all())
            )
        return [found for found in seen if found is not None]

    async def stop(self, party_run_id: str, grace_s: float) -> None:
        """See `Runtime.stop`. The engine counts the grace in whole seconds, rounded up."""
        await self._work.settled(party_run_id)
        with understood("stop"):
            try:
                await self._engine.stop(container_name(party_run_id), grace_s)
            except EngineError as error:
                if not error.not_there:
                    raise

    async def remove(self, party_run_id: str) -> None:
        """See `Runtime.remove`."""
        try:
            with understood("remove"):
                await self._work.run(party_run_id, lambda: self._removed(party_run_id))
        finally:
            self._pool.want()

    def exits(self) -> AsyncIterator[str]:
        """See `Runtime.exits`."""
        return self._exits.stream()

    def pulls(self) -> AsyncIterator[PulledImage]:
        """See `Runtime.pulls`."""
        return self._pulls.stream()

    async def remove_image(self, image: PulledImage) -> bool:
        """See `Runtime.remove_image`."""
        with understood("remove the image"):
            return await self._images.remove(image)

    async def tidy(self) -> None:
        """See `Runtime.tidy`: what may be left are sandboxes."""
        with understood("tidy"):
            workloads = await self._containers.all()
            await self._pool.tidy(self._containers.adopt(workloads))
            await self._networks.tidy(translate.party_runs(workloads))

    async def _prepared(self, workload: Workload, image: Json) -> str:
        # Needed here too: a cancelled caller needs it no more, and this goes on.
        with self._images.needed(workload.image_url):
            cage = await self._cages.decided(workload, image)
            digest = await self._containers.make(
                workload, cage, image_id=image["Id"], digest=translate.image_digest(image)
            )
        await self._doubts.look(workload, image)
        return digest

    async def _sidecar_image(self, workload: Workload, progress: Progress) -> None:
        image = self._entries.sidecar_image if workload.neighbours else None
        if image is not None:
            with understood("prepare"), self._images.needed(image):
                await self._images.present(image, progress)

    async def _opened_in(self, workload: Workload) -> Sockets:
        sandbox_id = await self._containers.sandbox_of(workload.party_run_id)
        self._networks.opened.shut(workload.party_run_id)
        opened = await self._entries.open(workload, sandbox_id)
        return self._networks.opened.keep(workload.party_run_id, opened)

    async def _launched(self, workload: Workload) -> Observation:
        party_run_id = workload.party_run_id
        container = await self._containers.find(party_run_id)
        seen = None if container is None else await self._observed(container)
        if container is None or seen is None:
            raise refusals.vanished(container_name(party_run_id))
        if seen.phase is not Phase.PREPARED:
            return _executed(container, seen)
        self._watched.add(party_run_id)
        try:
            await self._containers.start(workload, container)
        except EngineError as error:
            self._watched.discard(party_run_id)
            raise refusals.of_start(workload, error) from error
        return await self._after_start(workload)

    async def _after_start(self, workload: Workload) -> Observation:
        party_run_id = workload.party_run_id
        await self._doubts.settle(party_run_id)
        container = await self._containers.find(party_run_id)
        seen = None if container is None else await self._observed(container)
        if container is None or seen is None:
            raise refusals.vanished(container_name(party_run_id))
        return _executed(container, seen)

    async def _observed(self, container: Json) -> Observation | None:
        reason = Reason.NONE
        if commands.may_be_exec_failure(container["State"]):
            stderr = await self._engine.last_errors(container["Id"])
            if commands.is_exec_failure(stderr):
                reason = Reason.COMMAND_NOT_FOUND
        return translate.observation(container, reason=reason)

    async def _removed(self, party_run_id: str) -> None:
        await self._containers.remove(party_run_id)
        self._watched.discard(party_run_id)
        self._doubts.forget(party_run_id)

    def _pulled(self, image: PulledImage) -> None:
        self._pulls.put(image)

    def _seen(self, event: dict[str, Any]) -> None:
        actor = event["Actor"]
        found = actor["Attributes"]
        if found.get(translate.LABEL_ROLE) == translate.ROLE_SANDBOX:
            self._pool.forget(actor["ID"])
            return
        party_run_id = found.get(translate.LABEL_PARTY_RUN)
        if party_run_id is None:
            return
        if event["Action"] == "destroy" and self._containers.was_own_removal(party_run_id):
            return
        self._ended(party_run_id)

    def _ended(self, party_run_id: str) -> None:
        self._watched.discard(party_run_id)
        self._exits.put(party_run_id)

    async def _reconcile(self) -> None:
        """Tell what ended while there was no event stream."""
        running = translate.running(await self._containers.listen())
        for party_run_id in self._watched - running:
            self._ended(party_run_id)
        await self._pool.refresh()


def _untold(reason: Reason, message: str) -> None:
    """Tell nobody: it was told in `prepare`."""


def _executed(container: Json, seen: Observation) -> Observation:
    if seen.reason is Reason.COMMAND_NOT_FOUND:
        raise refusals.command_refused(str(container["Path"]), container["State"]["ExitCode"])
    return seen
