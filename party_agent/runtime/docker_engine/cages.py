"""Finds out what a container's rights depend on, and makes its directories fit them."""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import structlog

from party_agent.runtime.confinement import Confinement
from party_agent.runtime.docker_engine import accounts, cage, facts
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.facts import EngineFacts
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, ROLE_SANDBOX
from party_agent.runtime.handover import hand_over
from party_agent.runtime.port import RuntimeUnavailable, Workload

_MAX_KNOWN_IMAGES = 256

_log = structlog.get_logger(__name__)


class Cages:
    """The rights of one agent's containers. `open` comes before `decided`."""

    def __init__(self, engine: Engine, site: Confinement, *, agent_key: str) -> None:
        self._engine = engine
        self._site = site
        self._off_limits = site.off_limits
        self._agent_key = agent_key
        self._facts = EngineFacts()
        # By image id, which names its content: what the image says of its users.
        self._users: OrderedDict[str, tuple[str, str]] = OrderedDict()

    async def open(self) -> None:
        """Ask the engine for its protections. Raises as the engine's calls do."""
        self._facts = facts.of_engine(await self._engine.info())
        if not self._facts.has_seccomp:
            _log.warning(
                "engine_without_seccomp",
                detail="containers may use every system call; "
                "give the engine back its default seccomp profile",
            )
        off_limits = (*self._off_limits, *self._engine.sockets)
        self._site = replace(self._site, off_limits=await asyncio.to_thread(_real, off_limits))

    async def decided(self, workload: Workload, image: Json) -> Cage:
        """Return the rights of the workload's container, its output directory made fit.

        Raises:
            RuntimeRefused: the template asks for more than the site gives.
            RuntimeUnavailable: the directory can't be given to the container's user now.
            EngineError: the image can't be looked into.
        """
        passwd, group = "", ""
        if cage.asked_user(workload, image):
            passwd, group = await self._users_of(str(image["Id"]))
        decided = cage.decide(
            workload, image, passwd=passwd, group=group, site=self._site, engine=self._facts
        )
        try:
            for bind in workload.binds:
                if bind.writable:
                    await asyncio.to_thread(hand_over, bind.source, decided.owner)
        except OSError as problem:
            raise RuntimeUnavailable(
                f"the output directory can't be given to the container: {problem.strerror}"
            ) from problem
        return decided

    async def _users_of(self, image_id: str) -> tuple[str, str]:
        known = self._users.get(image_id)
        if known is None:
            known = await self._look_into(image_id)
            self._users[image_id] = known
            if len(self._users) > _MAX_KNOWN_IMAGES:
                self._users.popitem(last=False)
        return known

    async def _look_into(self, image_id: str) -> tuple[str, str]:
        body = {
            "Image": image_id,
            # Never started. Called a sandbox so that one left by a crash is tidied up as such.
            "Cmd": ["-"],
            "Labels": {LABEL_AGENT: self._agent_key, LABEL_ROLE: ROLE_SANDBOX},
            "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}},
        }
        container_id = await self._engine.create("", body)
        try:
            passwd = await self._engine.text(container_id, accounts.PASSWD)
            group = await self._engine.text(container_id, accounts.GROUP)
        finally:
            await asyncio.shield(self._engine.remove(container_id))
        return passwd, group


def _real(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path.resolve() for path in paths)
