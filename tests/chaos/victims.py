"""Workloads ended behind their agent's back: killed, or gone with their runtime's record."""

import asyncio
import contextlib
import os
import signal

import docker

from tests.chaos.leftovers import containers_at, supervisors, workload_processes
from tests.chaos.place import Place, Site
from tests.chaos.schedule import Harm
from tests.chaos.toll import Toll


class WorkloadPart:
    """Whatever runs at one site, by this runtime or that."""

    def __init__(self, place: Place, site: Site, harm: Harm, toll: Toll) -> None:
        self._is_docker = place.kind.runtime == "docker"
        self._site = site
        self._harm = harm
        self._toll = toll

    async def strike(self) -> None:
        await asyncio.to_thread(self._end_containers if self._is_docker else self._end_processes)

    async def struck(self) -> None:
        """At once."""

    async def repair(self) -> None:
        """Nothing: it is for the agent to see."""

    def _end_containers(self) -> None:
        client = self._site.engine_client()
        with contextlib.closing(client), contextlib.suppress(docker.errors.APIError):
            for each in containers_at(client, self._site):
                if each["Labels"]["io.fedflow.role"] != "workload":
                    continue
                if self._harm is Harm.KILL:
                    client.kill(each["Id"])
                else:
                    self._toll.vanished.add(each["Labels"]["io.fedflow.party-run"])
                    client.remove_container(each["Id"], force=True)

    def _end_processes(self) -> None:
        if self._harm is Harm.KILL:
            victims = set(workload_processes(self._site.workloads))
        else:
            found = supervisors(self._site.workloads)
            self._toll.vanished |= set(found.values())
            victims = set(found)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
