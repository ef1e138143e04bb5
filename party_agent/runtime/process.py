"""Runs workloads as plain processes: what a site does that has no container engine.

The image is ignored; `process_spec` says what else a plain process does not get. Each party
run has a scratch directory under the state directory and, once launched, a supervisor that
outlives the agent and writes down how the workload ended.

Linux only: it needs pidfds and /proc. Under systemd the agent's unit needs
`KillMode=process`, or a restart of the agent kills the workloads with it.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from flow_contract.reasons import Reason
from party_agent.runtime import process_spec, process_state
from party_agent.runtime.confinement import Confinement
from party_agent.runtime.neighbours.at_host import HostSockets
from party_agent.runtime.no_images import WithoutImages
from party_agent.runtime.port import (
    Bind,
    Neighbour,
    Observation,
    Progress,
    RuntimeRefused,
    RuntimeUnavailable,
    Sockets,
    Workload,
)
from party_agent.runtime.process_start import start_supervisor
from party_agent.runtime.process_state import Scratch, Snapshot, Stage
from party_agent.runtime.process_user import ProcessUser
from party_agent.runtime.process_watch import Watches
from party_agent.runtime.supervisor import KILL_SIGNAL
from party_agent.runtime.told import Told

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class ProcessRuntime(WithoutImages):
    """Runs workloads under `state_dir`, which belongs to one agent.

    `environ` is the agent's own environment, of which workloads get a harmless few names; of
    `confinement` its user and groups count.
    `start_timeout_s` bounds the start phase; `kill_timeout_s` how long a supervisor that was
    told to kill may take before it is killed itself.
    """

    name = "process"

    def __init__(
        self,
        state_dir: Path,
        *,
        environ: Mapping[str, str],
        start_timeout_s: float = 60.0,
        kill_timeout_s: float = 30.0,
        confinement: Confinement | None = None,
    ) -> None:
        super().__init__()
        self._root = state_dir.resolve()
        self._inherited = process_spec.inherited_env(environ)
        self._user = ProcessUser(confinement or Confinement())
        self._start_timeout_s = start_timeout_s
        self._kill_timeout_s = kill_timeout_s
        self._closed = False
        self._exits = Told[str]()
        self._watches = Watches(self._on_supervisor_end)
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._working: dict[str, asyncio.Task[Any]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._ended: dict[str, asyncio.Event] = {}
        self._sockets = HostSockets()

    async def open(self) -> None:
        """Find what earlier agents left and watch what still runs."""
        self._user.check()
        await asyncio.to_thread(process_state.make_root, self._root)
        for scratch in await asyncio.to_thread(process_state.scratches, self._root):
            snapshot = await self._do(scratch.party_run_id, scratch.read)
            if snapshot is not None and snapshot.stage in (Stage.STARTING, Stage.RUNNING):
                self._watch(snapshot)
            else:
                await self._do(scratch.party_run_id, scratch.settle)

    async def aclose(self) -> None:
        """Stop watching; workloads run on."""
        self._closed = True
        # Short work, and its callers would take a cancellation for their own.
        while tasks := [*self._starting.values(), *self._working.values(), *self._settling]:
            await asyncio.wait(tasks)
        self._sockets.close()
        self._watches.close()
        self._exits.close()
        self._pulls.close()

    async def prepare(self, workload: Workload, progress: Progress) -> str:  # noqa: ARG002 - nothing here takes long
        """Look for the command and make the scratch directory; there is no digest."""
        scratch = self._scratch(workload.party_run_id)
        if await self._do(scratch.party_run_id, scratch.read) is not None:
            return ""
        # The workdir may lie on a disk that does not answer: not in the loop.
        not_enforced = await asyncio.to_thread(process_spec.not_enforced, workload)
        log.info(
            "image_ignored",
            party_run_id=workload.party_run_id,
            image=workload.image_url,
            not_enforced=not_enforced,
        )
        spec = await asyncio.to_thread(
            process_spec.build, workload, scratch.folder, self._inherited
        )
        spec["user"] = self._user.credentials()
        try:
            await asyncio.to_thread(self._user.give_outputs, workload)
            await self._do(scratch.party_run_id, scratch.create, spec, self._user)
        except OSError as problem:
            why = f"the scratch directory can't be made: {problem.strerror}"
            raise RuntimeUnavailable(why) from problem
        return ""

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:
        """Return a loopback address of this party run's own; names mean nothing here."""
        return self._sockets.host_of(party_run_id, neighbour)

    async def sockets(self, workload: Workload) -> Sockets:
        """Listen at the neighbours' addresses, in the place of earlier sockets."""
        if await self.inspect(workload.party_run_id) is None:
            raise process_spec.vanished()
        return self._sockets.open(workload)

    def path_of(self, bind: Bind) -> str:
        """Return the bind's own path: a process sees the host's files."""
        return str(bind.source)

    async def launch(self, workload: Workload) -> Observation:
        """Start it unless anybody ever did, and say how it is."""
        scratch = self._scratch(workload.party_run_id)
        snapshot = await self._do(scratch.party_run_id, scratch.read)
        if snapshot is not None and snapshot.stage in (Stage.PREPARED, Stage.STARTING):
            await asyncio.shield(self._start(scratch))
            snapshot = await self._do(scratch.party_run_id, scratch.read)
        if snapshot is None:
            raise process_spec.vanished()
        if snapshot.stage is Stage.STOPPED:
            await self.remove(workload.party_run_id)
            raise RuntimeRefused(Reason.STOPPED_BY_USER, "It was stopped before it started.")
        if snapshot.error is not None:
            raise process_spec.refusal(snapshot.seen.exit_code or 0, snapshot.error)
        if snapshot.stage in (Stage.PREPARED, Stage.STARTING):
            complaint = await self._do(scratch.party_run_id, scratch.complaint)
            raise RuntimeUnavailable(f"the workload's supervisor did not start it: {complaint}")
        if snapshot.stage is Stage.RUNNING:
            self._watch(snapshot)
        return snapshot.seen

    async def inspect(self, party_run_id: str) -> Observation | None:
        """Return what there is."""
        snapshot = await self._do(party_run_id, self._scratch(party_run_id).read)
        return None if snapshot is None else snapshot.seen

    async def list(self) -> list[Observation]:
        """Return every workload that was not removed."""
        return await asyncio.to_thread(process_state.observe_all, self._root)

    async def stop(self, party_run_id: str, grace_s: float) -> None:
        """SIGTERM to its process group, then SIGKILL to all that descends from it."""
        await self._join_start(party_run_id)
        snapshot = await self._do(party_run_id, self._scratch(party_run_id).forbid_start)
        if snapshot is None or snapshot.claim is None:
            return
        if snapshot.stage is Stage.ENDED:
            return
        ended = self._watch(snapshot)
        for signum, wait_s in (
            (signal.SIGTERM, grace_s),
            (KILL_SIGNAL, self._kill_timeout_s),
        ):
            self._watches.send(party_run_id, signum)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await ended.wait()
                return
        # A supervisor that does not answer: the kernel kills its child with it.
        self._watches.send(party_run_id, signal.SIGKILL)
        await ended.wait()

    async def remove(self, party_run_id: str) -> None:
        """Kill what runs and delete its scratch directory."""
        self._sockets.shut(party_run_id)
        scratch = self._scratch(party_run_id)
        await self._join_start(party_run_id)
        while not await self._do(party_run_id, scratch.delete):
            await self.stop(party_run_id, 0)
        self._ended.pop(party_run_id, None)

    def exits(self) -> AsyncIterator[str]:
        """Yield the id of each workload soon after its supervisor ended."""
        return self._exits.stream()

    async def tidy(self) -> None:
        """Finish what a crash left of a removal or of a `prepare`."""
        await asyncio.to_thread(process_state.empty_bin, self._root)
        for scratch in await asyncio.to_thread(process_state.scratches, self._root):
            await self._do(scratch.party_run_id, scratch.delete_half_made)

    async def _do(self, party_run_id: str, work: Callable[..., _T], *args: Any) -> _T:
        """Return what `work` returns in a thread.

        Work on one party run never overlaps, not even if the caller was cancelled: what a
        thread still does for a cancelled verb must not meet the next one.
        """
        before = self._working.get(party_run_id)

        async def in_turn() -> _T:
            if before is not None:
                await asyncio.wait([before])
            return await asyncio.to_thread(work, *args)

        task = asyncio.get_running_loop().create_task(in_turn())
        self._working[party_run_id] = task
        task.add_done_callback(lambda done: self._work_done(party_run_id, done))
        return await asyncio.shield(task)

    def _work_done(self, party_run_id: str, task: asyncio.Task[Any]) -> None:
        if self._working.get(party_run_id) is task:
            del self._working[party_run_id]
        # Seen here for the case that a cancelled caller does not see it.
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.debug("work_failed", party_run_id=party_run_id, detail=str(problem))

    def _start(self, scratch: Scratch) -> asyncio.Task[None]:
        """Return the one attempt to start that is under way; it survives its caller."""
        party_run_id = scratch.party_run_id
        task = self._starting.get(party_run_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._try_start(scratch))
            self._starting[party_run_id] = task
            task.add_done_callback(lambda done: self._start_done(party_run_id, done))
        return task

    def _start_done(self, party_run_id: str, task: asyncio.Task[None]) -> None:
        del self._starting[party_run_id]
        # Whoever waits gets it too; if nobody does any more, it must be seen here.
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.warning("start_failed", party_run_id=party_run_id, detail=str(problem))

    async def _try_start(self, scratch: Scratch) -> None:
        await start_supervisor(
            scratch.folder, self._inherited, self._watches.reap, timeout_s=self._start_timeout_s
        )
        snapshot = await self._do(scratch.party_run_id, scratch.read)
        if snapshot is not None and snapshot.error is None:
            self._watch(snapshot)

    async def _join_start(self, party_run_id: str) -> None:
        """Wait for a start whose caller was cancelled."""
        task = self._starting.get(party_run_id)
        if task is not None:
            await asyncio.wait([task])

    def _watch(self, snapshot: Snapshot) -> asyncio.Event:
        """Return the event of the workload's end; its exit will be told."""
        party_run_id = snapshot.seen.party_run_id
        ended = self._ended.setdefault(party_run_id, asyncio.Event())
        if snapshot.claim is not None and not ended.is_set():
            self._watches.watch(party_run_id, snapshot.claim)
        return ended

    def _on_supervisor_end(self, party_run_id: str) -> None:
        scratch = self._scratch(party_run_id)
        if scratch.has_ended:
            self._tell(party_run_id)
        elif not self._closed:
            self._own(self._bury(scratch))

    async def _bury(self, scratch: Scratch) -> None:
        log.warning("supervisor_vanished", party_run_id=scratch.party_run_id)
        await self._do(scratch.party_run_id, scratch.settle)
        self._tell(scratch.party_run_id)

    def _tell(self, party_run_id: str) -> None:
        self._exits.put(party_run_id)
        if party_run_id in self._ended:
            self._ended[party_run_id].set()

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    def _scratch(self, party_run_id: str) -> Scratch:
        return Scratch(self._root, party_run_id)
