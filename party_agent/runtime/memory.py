"""A runtime with no processes: workloads are scripted by their command.

For tests and for simulations of a thousand agents in one process: an idle instance has no
thread, no task and no timer. `script` describes the language, `MemoryState` is the engine
that outlives a runtime instance.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from flow_contract.reasons import Reason, sentence
from party_agent.runtime.memory_sockets import MemorySockets
from party_agent.runtime.memory_state import MemoryState
from party_agent.runtime.no_images import WithoutImages
from party_agent.runtime.port import (
    Bind,
    Neighbour,
    Observation,
    Phase,
    Progress,
    RuntimeRefused,
    Sockets,
    Workload,
)
from party_agent.runtime.script import End, parse
from party_agent.runtime.told import Told

_SIGKILL_CODE = 137
_NOT_FOUND_CODE = 127


class MemoryRuntime(WithoutImages):
    """Runs scripts over `state`; several instances over one state are restarts of one agent."""

    name = "memory"

    def __init__(self, state: MemoryState | None = None) -> None:
        super().__init__()
        self.state = state or MemoryState()
        self._exits = Told[str]()
        self._opened: list[MemorySockets] = []

    async def open(self) -> None:
        """Start listening to the state."""
        if self._exits.put not in self.state.listeners:
            self.state.listeners.append(self._exits.put)

    async def aclose(self) -> None:
        """Stop listening; workloads go on."""
        if self._exits.put in self.state.listeners:
            self.state.listeners.remove(self._exits.put)
        for opened in self._opened:
            opened.close()
        self._opened.clear()
        self._exits.close()
        self._pulls.close()

    async def prepare(self, workload: Workload, progress: Progress) -> str:
        """Refuse, wait or accept as the script says; the digest is always empty."""
        if workload.party_run_id in self.state.workloads:
            return ""
        try:
            script = parse(workload.command)
        except ValueError as problem:
            raise RuntimeRefused(
                Reason.COMMAND_NOT_FOUND, f"{problem}.", exit_code=_NOT_FOUND_CODE
            ) from None
        if script.refusal is not None:
            raise RuntimeRefused(script.refusal, script.refusal_message or sentence(script.refusal))
        if self.state.images is not None and workload.image_url not in self.state.images:
            raise RuntimeRefused(Reason.IMAGE_NOT_FOUND, sentence(Reason.IMAGE_NOT_FOUND))
        if script.holds_prepare:
            progress(Reason.PULLING_IMAGE, sentence(Reason.PULLING_IMAGE))
            await self.state.may_prepare(workload.party_run_id).wait()
        self.state.add(workload)
        return ""

    def host_of(self, party_run_id: str, neighbour: Neighbour) -> str:  # noqa: ARG002 - the same for all
        """Return its name: scripts have no addresses."""
        return neighbour.name

    async def sockets(self, workload: Workload) -> Sockets:
        """Open the scripted workload's network, see `Loopback`."""
        if workload.party_run_id not in self.state.workloads:
            raise RuntimeRefused(Reason.WORKLOAD_VANISHED, "It was not prepared here.")
        self._opened.append(opened := self.state.loopback.open(workload))
        return opened

    def path_of(self, bind: Bind) -> str:
        """Return where it is mounted."""
        return bind.target

    async def launch(self, workload: Workload) -> Observation:
        """Start the script, or adopt it."""
        entry = self.state.workloads.get(workload.party_run_id)
        if entry is None:
            raise RuntimeRefused(Reason.WORKLOAD_VANISHED, "It was not prepared here.")
        if entry.script.end is End.MISSING:
            raise RuntimeRefused(
                Reason.COMMAND_NOT_FOUND,
                sentence(Reason.COMMAND_NOT_FOUND),
                exit_code=_NOT_FOUND_CODE,
            )
        return self.state.start(workload.party_run_id)

    async def inspect(self, party_run_id: str) -> Observation | None:
        """Return what there is."""
        entry = self.state.workloads.get(party_run_id)
        return None if entry is None else entry.seen

    async def list(self) -> list[Observation]:
        """Return every workload that was not removed."""
        return [entry.seen for entry in self.state.workloads.values()]

    async def stop(self, party_run_id: str, grace_s: float) -> None:
        """Ask, wait, kill."""
        entry = self.state.workloads.get(party_run_id)
        if entry is None or entry.seen.phase is not Phase.RUNNING:
            return
        self.state.ask_to_end(party_run_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await entry.ended.wait()
        self.state.end(party_run_id, _SIGKILL_CODE)

    async def remove(self, party_run_id: str) -> None:
        """Kill what runs and forget it."""
        self.state.end(party_run_id, _SIGKILL_CODE)
        self.state.forget(party_run_id)

    def exits(self) -> AsyncIterator[str]:
        """Yield the id of each workload soon after it ended."""
        return self._exits.stream()

    async def tidy(self) -> None:
        """Do nothing: there is nothing but workloads."""
