"""The networks of workloads that have neighbours: a pause container each, and maybe a sidecar.

A pool's sandbox won't do: who is in a run, and by which names, stands in the container whose
network it is. Its name is made of the party run's id, so that what a crash left is found again.
"""

import asyncio
from pathlib import Path

import structlog

from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.network_bodies import (
    LABEL_NETWORK_OF,
    ROLE_NETWORK,
    ROLE_SIDECAR,
    network_body,
    network_name,
    sidecar_name,
)
from party_agent.runtime.docker_engine.sandbox import SandboxPool
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, LABEL_SPEC, labels
from party_agent.runtime.neighbours import sidecar
from party_agent.runtime.neighbours.opened import Opened
from party_agent.runtime.port import RuntimeUnavailable, Workload

# Each further attempt follows the removal of what was in the way.
_MAKE_ATTEMPTS = 3

_log = structlog.get_logger(__name__)


class Networks:
    """Those of one agent. One caller at a time per party run.

    `folder` is where sidecars' directories are, None if there are none.
    """

    def __init__(
        self, engine: Engine, pool: SandboxPool, *, agent_key: str, folder: Path | None
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._agent_key = agent_key
        # The sockets in them; these are closed with the agent, the networks stay for the next.
        self.opened = Opened()
        self._was_loose: set[str] = set()
        self._folder = folder

    async def make(self, workload: Workload) -> str:
        """Return the id of the workload's running pause container, an earlier one if it is there.

        Raises:
            RuntimeRefused: the run can't be given addresses.
            EngineError: the engine can't make it.
            RuntimeUnavailable: try again; what may have been left is adopted then.
        """
        name = network_name(workload.party_run_id)
        body = network_body(self._pool.body(), workload)
        for _ in range(_MAKE_ATTEMPTS):
            found = await self._engine.inspect(name)
            if found is not None:
                is_same = labels(found).get(LABEL_SPEC) == body["Labels"][LABEL_SPEC]
                if self._is_ours(found) and is_same and found["State"]["Running"]:
                    return str(found["Id"])
                await self._remove_ours(found)
            try:
                return await self._pool.create_and_start(name, body)
            except EngineError as error:
                if not error.conflict:
                    raise
        raise RuntimeUnavailable(f"the name {name} is taken again and again")

    async def remove(self, party_run_id: str) -> None:
        """Close and remove all that there is of a party run's network; nothing there is fine."""
        self.opened.shut(party_run_id)
        # The one first that is nothing without the other.
        for name in (sidecar_name(party_run_id), network_name(party_run_id)):
            found = await self._engine.inspect(name)
            if found is not None and self._is_ours(found):
                await self._engine.remove(str(found["Id"]))
        if self._folder is not None:
            await asyncio.to_thread(sidecar.remove, self._folder, party_run_id)

    async def tidy(self, in_use: frozenset[str], *, at_once: bool = False) -> None:
        """Remove the networks of party runs that have no workload, and had none the last time.

        Once is no proof: a prepare makes the network a moment before the workload. `at_once`:
        nothing is being prepared.
        """
        found: set[str] = set()
        if self._folder is not None:
            found.update(await asyncio.to_thread(sidecar.left, self._folder))
        for role in (ROLE_NETWORK, ROLE_SIDECAR):
            wanted = {LABEL_AGENT: self._agent_key, LABEL_ROLE: role}
            for each in await self._engine.ids(wanted):
                container = await self._engine.inspect(each)
                if container is not None:
                    found.add(labels(container).get(LABEL_NETWORK_OF, ""))
        loose = found - in_use
        for party_run_id in loose if at_once else loose & self._was_loose:
            _log.warning("network_left_over", party_run_id=party_run_id)
            await self.remove(party_run_id)
        self._was_loose = loose

    def _is_ours(self, container: Json) -> bool:
        return labels(container).get(LABEL_AGENT) == self._agent_key

    async def _remove_ours(self, container: Json) -> None:
        if not self._is_ours(container):
            raise RuntimeUnavailable(
                f"another container at the site is named {container['Name'].lstrip('/')}"
            )
        await self._engine.remove(str(container["Id"]))
