"""Workloads ended behind their agent's back: killed, or gone with their runtime's record."""

import asyncio
import contextlib
import os
import signal
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.chaos.leftovers import containers_at, supervisors, workload_processes
from tests.chaos.place import Place, Site
from tests.chaos.schedule import Harm
from tests.chaos.toll import Toll

_WAIT_S = 1.0
_LOOK_EVERY_S = 0.01


class WorkloadPart:
    """Whatever runs at one site, by this runtime or that."""

    def __init__(self, place: Place, site: Site, harm: Harm, toll: Toll) -> None:
        self._is_docker = place.kind.runtime == "docker"
        self._site = site
        self._harm = harm
        self._toll = toll

    async def strike(self) -> None:
        """End what runs; what is only prepared is waited for, for a moment."""
        end = self._end_containers if self._is_docker else self._end_processes
        # An engine that another fault has just ended has no workload to hurt.
        with contextlib.suppress(TimeoutError, DockerException, RequestException):
            async with asyncio.timeout(_WAIT_S):
                while not await asyncio.to_thread(end):  # noqa: ASYNC110  it may never run
                    await asyncio.sleep(_LOOK_EVERY_S)

    async def struck(self) -> None:
        """At once."""

    async def repair(self) -> None:
        """Nothing: it is for the agent to see."""

    def _end_containers(self) -> bool:
        """Return whether there was one to end."""
        with contextlib.closing(self._site.engine_client()) as client:
            found = [
                each
                for each in containers_at(client, self._site)
                if each["Labels"]["io.fedflow.role"] == "workload"
                and (self._harm is Harm.VANISH or each["State"] == "running")
            ]
            for each in found:
                with contextlib.suppress(docker.errors.APIError):
                    self._end_container(client, each)
        return bool(found)

    def _end_container(self, client: docker.APIClient, container: dict[str, Any]) -> None:
        if self._harm is Harm.KILL:
            client.kill(container["Id"])
        else:
            self._toll.vanished.add(container["Labels"]["io.fedflow.party-run"])
            client.remove_container(container["Id"], force=True)

    def _end_processes(self) -> bool:
        if self._harm is Harm.KILL:
            victims = set(workload_processes(self._site.workloads))
        else:
            found = supervisors(self._site.workloads)
            self._toll.vanished |= set(found.values())
            victims = set(found)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(victims)
