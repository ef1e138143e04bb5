"""Pause containers that own network namespaces with nothing but loopback, kept ready.

Making a namespace costs more than all the rest of a start, so a workload without a network
joins the namespace of an idle pause container. Where none is idle, making one first would cost
it twice: the workload then gets a namespace of its own from the engine.

Invariant: which sandbox belongs to which workload stands only in the engine, as the
workload's network mode; a sandbox serves one party run and is then thrown away.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

import structlog

from flow_contract.ids import new_id
from party_agent.runtime.docker_engine import pause
from party_agent.runtime.docker_engine.client import Engine
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.translate import LABEL_AGENT, LABEL_ROLE, ROLE_SANDBOX
from party_agent.runtime.port import RuntimeUnavailable

_log = structlog.get_logger(__name__)


def sandbox_body(image: str, agent_key: str) -> dict[str, Any]:
    """Return the body of the create call of a pause container."""
    return {
        "Image": image,
        "Cmd": [pause.PROGRAM],
        "User": "65534:65534",
        # It has no handler for any signal, and nothing to save.
        "StopSignal": "SIGKILL",
        "Labels": {LABEL_AGENT: agent_key, LABEL_ROLE: ROLE_SANDBOX},
        "HostConfig": {
            "NetworkMode": "none",
            "IpcMode": "none",
            "ReadonlyRootfs": True,
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "none", "Config": {}},
        },
    }


class SandboxPool:
    """Keeps `size` idle sandboxes of one agent ready."""

    def __init__(self, engine: Engine, *, agent_key: str, size: int) -> None:
        self._engine = engine
        self._agent_key = agent_key
        self._size = size
        self._image = ""
        self._idle: deque[str] = deque()
        self._surplus: list[str] = []
        self._was_loose: set[str] = set()
        self._wanted = asyncio.Event()
        self._refill: asyncio.Task[None] | None = None

    @property
    def idle(self) -> tuple[str, ...]:
        """The ids of the sandboxes that wait for a workload."""
        return tuple(self._idle)

    async def open(self, in_use: frozenset[str]) -> None:
        """Adopt what an earlier agent left idle, remove what is of no use, begin to fill up.

        `in_use` are the sandboxes that workloads have joined.

        Raises:
            RuntimeUnavailable: the engine does not answer, or there is no pause program for it.
        """
        self._image = await self._pause_image()
        await self._adopt(in_use)
        self._refill = asyncio.create_task(self._keep_full())
        self.want()

    async def aclose(self) -> None:
        """Stop filling up and remove the idle sandboxes. May be called twice."""
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait([self._refill])
            self._refill = None
        unused, self._surplus = [*self._idle, *self._surplus], []
        self._idle.clear()
        await asyncio.gather(*(self.discard(sandbox_id) for sandbox_id in unused))

    async def refresh(self) -> None:
        """Drop from the idle ones what has ended while nobody watched, and fill up again."""
        before = tuple(self._idle)
        found = await asyncio.gather(*(self._engine.inspect(sandbox_id) for sandbox_id in before))
        for sandbox_id, container in zip(before, found, strict=True):
            if container is None or not container["State"]["Running"]:
                self.forget(sandbox_id)
        self.want()

    async def tidy(self, in_use: frozenset[str]) -> None:
        """Remove sandboxes that are neither idle nor in use and were neither the last time.

        Once is no proof: a start takes its sandbox a moment before the engine knows of it.
        """
        labels = {LABEL_AGENT: self._agent_key, LABEL_ROLE: ROLE_SANDBOX}
        found = set(await self._engine.ids(labels))
        loose = found - in_use - set(self._idle)
        for sandbox_id in loose & self._was_loose:
            _log.warning("sandbox_left_over", sandbox_id=sandbox_id)
            await self.discard(sandbox_id)
        self._was_loose = loose

    def body(self) -> dict[str, Any]:
        """Return the body of the create call of a further sandbox."""
        return sandbox_body(self._image, self._agent_key)

    def take(self) -> str | None:
        """Return the id of an idle sandbox, from now on the caller's; None if there is none."""
        return self._idle.popleft() if self._idle else None

    def give_back(self, sandbox_id: str) -> None:
        """Take back a sandbox that no workload has joined or will join."""
        if len(self._idle) < self._size:
            self._idle.append(sandbox_id)
        else:
            self._surplus.append(sandbox_id)
            self.want()

    async def discard(self, sandbox: str) -> None:
        """Remove a sandbox by id or name; if the engine can't now, later, or a next agent."""
        try:
            await self._engine.remove(sandbox)
        except (EngineError, RuntimeUnavailable):
            self._surplus.append(sandbox)

    def forget(self, sandbox_id: str) -> None:
        """Hold a sandbox idle no longer: it has ended, and another takes its place."""
        if sandbox_id in self._idle:
            self._idle.remove(sandbox_id)
            self._surplus.append(sandbox_id)
            self.want()

    def want(self) -> None:
        """Fill up in the background. Called when no start is under way that it would slow."""
        self._wanted.set()

    async def _adopt(self, in_use: frozenset[str]) -> None:
        labels = {LABEL_AGENT: self._agent_key, LABEL_ROLE: ROLE_SANDBOX}
        loose = [found for found in await self._engine.ids(labels) if found not in in_use]
        inspected = await asyncio.gather(*(self._engine.inspect(found) for found in loose))
        alive = [found["Id"] for found in inspected if found and found["State"]["Running"]]
        self._idle = deque(alive[: self._size])
        await asyncio.gather(*(self.discard(found) for found in loose if found not in self._idle))

    async def _keep_full(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            surplus, self._surplus = self._surplus, []
            for sandbox in surplus:
                await self.discard(sandbox)
            try:
                while len(self._idle) < self._size:
                    self._idle.append(await self._make())
            except (EngineError, RuntimeUnavailable) as error:
                # Only warmth is lost: starts get a namespace of their own meanwhile.
                _log.warning("sandbox_refill_failed", error=str(error))

    async def _make(self) -> str:
        name = f"fedflow-sandbox-{new_id()}"
        body = self.body()
        # One piece of work: a cancelled caller must not leave one that nobody knows of.
        making = asyncio.create_task(self.create_and_start(name, body))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(EngineError, RuntimeUnavailable):
                await self.discard(await making)
            raise
        except RuntimeUnavailable:
            # The answer was lost, not always what it would have told of.
            self._surplus.append(name)
            raise

    async def create_and_start(self, name: str, body: dict[str, Any]) -> str:
        """Return the id of a new running pause container, which is the caller's.

        Raises:
            EngineError: the engine can't, or the name is taken.
            RuntimeUnavailable: the engine does not answer; one may be left under this name.
        """
        try:
            sandbox_id = await self._engine.create(name, body)
        except EngineError as error:
            if not error.not_there:
                raise
            # Somebody pruned the images.
            self._image = await self._pause_image()
            sandbox_id = await self._engine.create(name, {**body, "Image": self._image})
        try:
            await self._engine.start(sandbox_id)
        except (EngineError, RuntimeUnavailable):
            await self.discard(sandbox_id)
            raise
        return sandbox_id

    async def _pause_image(self) -> str:
        architecture = await self._engine.architecture()
        if architecture not in pause.architectures():
            raise RuntimeUnavailable(
                f"there is no pause program for engines on {architecture!r}, "
                f"only for {', '.join(pause.architectures())}"
            )
        tag = pause.tag(architecture)
        reference = f"{pause.REPOSITORY}:{tag}"
        if await self._engine.image(reference) is None:
            archive = pause.archive(architecture)
            await self._engine.import_image(archive, repository=pause.REPOSITORY, tag=tag)
        return reference
