"""Opens a workload's sockets in its network: by way of the namespace, or of a sidecar."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import structlog

from flow_contract.reasons import Reason
from party_agent.runtime.docker_engine import translate
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.network_bodies import (
    mark_of,
    secret_of,
    sidecar_body,
    sidecar_name,
)
from party_agent.runtime.neighbours import addresses, namespace, nftables, sidecar
from party_agent.runtime.neighbours.listening import Listening
from party_agent.runtime.neighbours.namespace import NamespaceThread, NotHere
from party_agent.runtime.neighbours.sidecar import SidecarThread
from party_agent.runtime.neighbours.ways import Way, Ways
from party_agent.runtime.port import RuntimeRefused, RuntimeUnavailable, Workload

_log = structlog.get_logger(__name__)


class Entries:
    """What one agent may do to get into its workloads' networks."""

    def __init__(self, engine: Engine, ways: Ways, *, agent_key: str) -> None:
        self._engine = engine
        self._ways = ways
        self._agent_key = agent_key
        self._sees_processes = True

    @property
    def sidecar_image(self) -> str | None:
        """The image without which no sockets can be opened; None if none is needed."""
        way = self._ways.way
        if way is Way.SIDECAR or (way is Way.AUTO and not self._enters):
            return self._ways.sidecar_image
        return None

    async def open(self, workload: Workload, sandbox_id: str) -> Listening:
        """Open the sockets in the network that this pause container has.

        Raises:
            RuntimeRefused: they can't be opened here.
            RuntimeUnavailable: try again; a sidecar's image may be needed by then.
        """
        pause = await self._paused(sandbox_id)
        try:
            if self.sidecar_image is None:
                return await self._by_namespace(workload, pause)
            return await self._by_sidecar(workload, pause)
        except nftables.Missing as problem:
            raise _missing(str(problem)) from problem
        except sidecar.Failed as problem:
            if problem.is_missing:
                raise _missing(str(problem)) from problem
            raise RuntimeRefused(
                Reason.RUNTIME_ERROR, f"The workload's sidecar can't open its sockets: {problem}."
            ) from problem
        except OSError as problem:
            raise RuntimeUnavailable(f"the workload's sockets can't be opened: {problem}") from None

    @property
    def _enters(self) -> bool:
        return self._sees_processes and namespace.may_enter()

    async def _paused(self, sandbox_id: str) -> Json:
        found = await self._engine.inspect(sandbox_id)
        if found is None or not found["State"]["Running"]:
            raise RuntimeUnavailable("the workload's network is gone")
        return found

    async def _by_namespace(self, workload: Workload, pause: Json) -> Listening:
        pid = int(pause["State"]["Pid"])
        with ExitStack() as undo:
            try:
                network, life = await asyncio.to_thread(namespace.find, pid, mark_of(pause))
            except NotHere as problem:
                raise self._not_here(problem) from problem
            undo.callback(os.close, network)
            release = ExitStack()
            undo.callback(release.close)
            if life is not None:
                release.callback(os.close, life)
            # The same process all the time, so what was opened is its.
            now = (await self._paused(str(pause["Id"])))["State"]
            if (now["Pid"], now["StartedAt"]) != (pid, pause["State"]["StartedAt"]):
                raise RuntimeUnavailable("the workload's network was replaced")
            thread = NamespaceThread(workload.party_run_id[:8])
            release.callback(thread.release)
            try:
                listener = await thread.enter(network, *_asked(workload))
            except PermissionError as problem:
                raise self._not_here(problem) from problem
            opened = _listening(workload, listener, thread.make, release.close, life)
            undo.pop_all()
            os.close(network)
            return opened

    async def _by_sidecar(self, workload: Workload, pause: Json) -> Listening:
        root, party_run_id = self._ways.folder, workload.party_run_id
        if root is None:
            raise RuntimeRefused(
                Reason.RUNTIME_ERROR,
                "The site's agent can't enter its containers' networks and has no directory for a "
                "sidecar; ask the site to start it with --state-dir.",
            )
        with await asyncio.to_thread(sidecar.listen, root, party_run_id) as waiting:
            container = await self._started(workload, pause, root / party_run_id)
            try:
                caller = await sidecar.arrival(waiting, secret_of(container))
            except TimeoutError:
                raise await self._did_not_come(str(container["Id"])) from None
        with ExitStack() as undo:
            thread = SidecarThread(party_run_id[:8], caller)
            undo.callback(thread.release)
            listener = await thread.enter(*_asked(workload))
            opened = _listening(workload, listener, thread.make, thread.release, thread.lifeline)
            undo.pop_all()
            return opened

    async def _started(self, workload: Workload, pause: Json, folder: Path) -> Json:
        """Return the sidecar's container, an earlier one if it is there."""
        name = sidecar_name(workload.party_run_id)
        body = sidecar_body(
            self._ways.sidecar_image,
            agent_key=self._agent_key,
            party_run_id=workload.party_run_id,
            sandbox_id=str(pause["Id"]),
            folder=folder,
        )
        found = await self._engine.inspect(name)
        spec = body["Labels"][translate.LABEL_SPEC]
        if found is not None:
            same = translate.labels(found).get(translate.LABEL_SPEC) == spec
            if same and found["State"]["Running"]:
                return found
            await self._engine.remove(str(found["Id"]))
        try:
            made = await self._engine.create(name, body)
            await self._engine.start(made)
        except EngineError as error:
            raise RuntimeRefused(
                Reason.RUNTIME_ERROR,
                f"The workload's sidecar can't be started from {self._ways.sidecar_image!r} "
                f"({error.text}); ask the site to choose another image for it.",
            ) from error
        return await self._paused(made)

    async def _did_not_come(self, container_id: str) -> RuntimeRefused:
        found = await self._engine.inspect(container_id)
        if found is not None and not found["State"]["Running"]:
            code = found["State"]["ExitCode"]
            return RuntimeRefused(
                Reason.RUNTIME_ERROR,
                f"The workload's sidecar ended with code {code}; ask the site for an image that "
                "has python3 of 3.8 or newer.",
            )
        return RuntimeRefused(
            Reason.RUNTIME_ERROR,
            "The workload's sidecar runs and does not reach its agent over the unix socket that it "
            "mounts: the site's engine may be in a virtual machine. Ask the site to run the agent "
            "on the engine's own machine.",
        )

    def _not_here(self, problem: Exception) -> RuntimeRefused | RuntimeUnavailable:
        if self._ways.way is Way.NAMESPACE:
            return RuntimeRefused(
                Reason.RUNTIME_ERROR,
                f"The site's agent can't enter the workload's network ({problem}); "
                "ask the site to set FEDFLOW_AGENT_SOCKETS=sidecar.",
            )
        # For the next attempt, before which the image will be asked for.
        self._sees_processes = False
        _log.warning("network_not_entered", why=str(problem), instead="sidecar")
        return RuntimeUnavailable("the workload's network is not on this machine")


def _asked(
    workload: Workload,
) -> tuple[list[int], list[nftables.Redirect], list[tuple[int, int]]]:
    return (
        addresses.listener_ports(workload),
        addresses.redirects(workload),
        addresses.fences(workload),
    )


def _listening(
    workload: Workload,
    listener: socket.socket,
    make: namespace.Make,
    release: Callable[[], None],
    lifeline: int | None,
) -> Listening:
    names = {addresses.in_sandbox(each.number): each for each in addresses.others(workload)}
    own = addresses.in_sandbox(addresses.itself(workload).number)
    return Listening(
        {listener: partial(namespace.meant, names)},
        own=(own, "127.0.0.1"),
        make=make,
        release=release,
        lifeline=lifeline,
    )


def _missing(problem: str) -> RuntimeRefused:
    return RuntimeRefused(
        Reason.RUNTIME_ERROR,
        f"The kernel under the site's engine can't redirect connections ({problem}); ask the site "
        "to load its modules nf_tables, nft_chain_nat, nft_nat and nft_reject_ipv4.",
    )
