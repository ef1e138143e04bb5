"""Makes, adopts and removes the one container of a party run, together with its sandbox."""

import asyncio

from flow_contract.reasons import Reason
from flow_contract.templates import Network
from party_agent.runtime.docker_engine import refusals, translate
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.docker_engine.cages import Cages
from party_agent.runtime.docker_engine.captures import Captures
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.networks import Networks
from party_agent.runtime.docker_engine.sandbox import SandboxPool
from party_agent.runtime.docker_engine.translate import container_name
from party_agent.runtime.port import Phase, RuntimeRefused, RuntimeUnavailable, Workload

# Each further attempt follows somebody else's removal of the same name.
_CREATE_ATTEMPTS = 3


class Containers:
    """The workload containers of one agent. One caller at a time per party run."""

    def __init__(
        self,
        engine: Engine,
        pool: SandboxPool,
        networks: Networks,
        cages: Cages,
        *,
        agent_key: str,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._networks = networks
        self._cages = cages
        self._agent_key = agent_key
        self._captures = Captures(engine)
        # Whose removal is our own doing, and therefore no news.
        self._removing: set[str] = set()
        # What a container's network mode says, for when somebody else removed the container.
        self._sandboxes: dict[str, str] = {}

    async def find(self, party_run_id: str) -> Json | None:
        """Return the inspected container of this party run, None if there is none of ours."""
        container = await self._engine.inspect(container_name(party_run_id))
        if container is None or not translate.is_workload_of(container, self._agent_key):
            return None
        return container

    async def sandbox_of(self, party_run_id: str) -> str:
        """Return the id of the container whose network this party run's container has joined.

        Raises:
            RuntimeRefused: there is no such container.
        """
        container = await self.find(party_run_id)
        sandbox_id = None if container is None else translate.joined_sandbox(container)
        if sandbox_id is None:
            raise refusals.vanished(container_name(party_run_id))
        return sandbox_id

    async def all(self) -> list[Json]:
        """Return every inspected workload container of this agent."""
        labels = {
            translate.LABEL_AGENT: self._agent_key,
            translate.LABEL_ROLE: translate.ROLE_WORKLOAD,
        }
        found = await asyncio.gather(
            *(self._engine.inspect(each) for each in await self._engine.ids(labels))
        )
        return [container for container in found if container is not None]

    def adopt(self, containers: list[Json]) -> frozenset[str]:
        """Remember the sandboxes that these containers joined, and return their ids."""
        for container in containers:
            sandbox_id = translate.joined_sandbox(container)
            if sandbox_id is not None:
                self._sandboxes[translate.party_run_id(container)] = sandbox_id
        return frozenset(self._sandboxes.values())

    async def make(self, workload: Workload, cage: Cage, *, image_id: str, digest: str) -> str:
        """Create the container, or adopt the one of the same spec or that once started.

        Returns the image digest.

        Raises:
            RuntimeRefused: the engine can't; no container is left.
            RuntimeUnavailable: try again; what may have been left is adopted then.
        """
        for _ in range(_CREATE_ATTEMPTS):
            if await self._created(workload, cage, image_id, digest):
                return digest
            container = await self._engine.inspect(container_name(workload.party_run_id))
            if container is not None:
                adopted = await self._adopted(workload, cage, container)
                if adopted is not None:
                    return adopted
        raise RuntimeUnavailable("the container's name is taken again and again")

    async def start(self, workload: Workload, container: Json) -> None:
        """Start a container that was created; a sandbox lost in between is replaced.

        Raises:
            EngineError: the engine can't start it.
        """
        await self._captures.begin(container)
        try:
            await self._engine.start(container["Id"])
        except EngineError as error:
            # 409: the sandbox has ended. 404: the sandbox is gone, or the container itself.
            may_be_sandbox = error.conflict or error.not_there
            if not may_be_sandbox or await self._sandbox_lives(container):
                raise
            # It never started, so a new one in its place is no second start.
            await self.remove(workload.party_run_id)
            digest = translate.labels(container).get(translate.LABEL_IMAGE, "")
            cage = await self._cage_again(workload, container)
            await self.make(workload, cage, image_id=container["Image"], digest=digest)
            if workload.neighbours:
                # Who opened sockets opened them in the network that is gone.
                lost = "the workload's network was lost, and made again"
                raise RuntimeUnavailable(lost) from error
            made = await self.find(workload.party_run_id)
            if made is not None:
                await self._captures.begin(made)
            await self._engine.start(container_name(workload.party_run_id))

    async def remove(self, party_run_id: str) -> None:
        """Remove container, then sandbox: the other order would lose which one it is."""
        container = await self.find(party_run_id)
        sandbox_id = self._sandboxes.get(party_run_id)
        if container is not None:
            sandbox_id = translate.joined_sandbox(container) or sandbox_id
            await self._captures.finish(container)
            self._removing.add(party_run_id)
            await self._engine.remove(container["Id"])
            await self._captures.ended(str(container["Id"]))
        if container is None or translate.has_neighbours(container):
            await self._networks.remove(party_run_id)
        if sandbox_id is not None:
            await self._engine.remove(sandbox_id)
        self._sandboxes.pop(party_run_id, None)

    async def listen(self) -> list[Json]:
        """Return all; what they said while nobody listened is written, and what they say now.

        Streams that have ended broke off, or are as well read again.
        """
        containers = await self.all()
        self._captures.forget_ended()
        for container in containers:
            if container["State"]["Running"]:
                await self._captures.begin(container, again=True)
        return containers

    async def aclose(self) -> None:
        """Listen no more."""
        await self._captures.aclose()

    def was_own_removal(self, party_run_id: str) -> bool:
        """Say, once, whether the removal that the engine tells of was done here."""
        own = party_run_id in self._removing
        self._removing.discard(party_run_id)
        return own

    async def _cage_again(self, workload: Workload, container: Json) -> Cage:
        image = await self._engine.image(container["Image"])
        if image is None:
            raise refusals.image_missing(workload.image_url)
        return await self._cages.decided(workload, image)

    async def _created(self, workload: Workload, cage: Cage, image_id: str, digest: str) -> bool:
        """Create the container; False if its name is taken."""
        party_run_id = workload.party_run_id
        is_pooled = workload.network is Network.NONE and not workload.neighbours
        sandbox_id = self._pool.take() if is_pooled else await self._network(workload)
        body = translate.create_body(
            workload,
            cage,
            agent_key=self._agent_key,
            image_id=image_id,
            image_digest=digest,
            sandbox_id=sandbox_id,
        )
        try:
            await self._engine.create(container_name(party_run_id), body)
        except EngineError as error:
            if sandbox_id is not None and is_pooled:
                self._pool.give_back(sandbox_id)
            if error.conflict:
                return False
            if not is_pooled:
                await self._networks.remove(party_run_id)
            raise refusals.of_create(workload, error) from error
        except RuntimeUnavailable:
            # It may still come to be: the sandbox must not become somebody else's.
            if sandbox_id is not None and is_pooled:
                await self._pool.discard(sandbox_id)
            raise
        if sandbox_id is not None:
            self._sandboxes[party_run_id] = sandbox_id
        return True

    async def _network(self, workload: Workload) -> str | None:
        if not workload.neighbours:
            return None
        try:
            return await self._networks.make(workload)
        except EngineError as error:
            await self._networks.remove(workload.party_run_id)
            raise refusals.of_network(error) from error

    async def _adopted(self, workload: Workload, cage: Cage, container: Json) -> str | None:
        """Return the adopted container's image digest; None if it was in the way and is gone."""
        if not translate.is_workload_of(container, self._agent_key):
            raise RuntimeRefused(
                Reason.RUNTIME_ERROR,
                f"Another container at the site is named {container_name(workload.party_run_id)}; "
                "ask the site to remove it.",
            )
        seen = translate.observation(container)
        found = translate.labels(container)
        if seen is None:
            await self._engine.remove(container["Id"])
            return None
        if seen.phase is Phase.PREPARED:
            same = found.get(translate.LABEL_SPEC) == translate.spec_digest(workload, cage)
            if not same or not await self._sandbox_lives(container):
                await self.remove(workload.party_run_id)
                return None
        return found.get(translate.LABEL_IMAGE, "")

    async def _sandbox_lives(self, container: Json) -> bool:
        sandbox_id = translate.joined_sandbox(container)
        if sandbox_id is None:
            return True
        sandbox = await self._engine.inspect(sandbox_id)
        return sandbox is not None and bool(sandbox["State"]["Running"])
