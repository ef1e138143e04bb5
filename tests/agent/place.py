"""One site for tests: units over the memory runtime, a journal on disk, a standing clock."""

from flow_contract.lifecycle import Desired
from flow_contract.reasons import Reason
from party_agent.contact import Contact
from party_agent.gpus import GpuInventory
from party_agent.journal import Journal
from party_agent.policy.site import Site
from party_agent.reporter import Reporter
from party_agent.runtime.memory import MemoryRuntime
from party_agent.runtime.memory_state import MemoryState
from party_agent.unit import StopStage
from party_agent.units import Units
from tests.agent.fakes import Ear, FakeClock, make_assignment, until


class Place:
    """One site. `restart` is a kill: nobody is told; disk and engine keep what they have."""

    def __init__(self, path, *, runtime=None, gpus=("0", "1")):
        self.state = MemoryState()
        self.clock = FakeClock()
        self.path = path
        self._wrap = runtime or (lambda memory: memory)
        self._gpus = GpuInventory(ids=gpus)

    async def open(self, *, acknowledging=True):
        self.journal = Journal(self.path)
        self.reporter = Reporter()
        self.contact = Contact(self.journal, self.clock)
        self.memory = MemoryRuntime(self.state)
        self.runtime = self._wrap(self.memory)
        self.units = Units(
            site=Site(),
            runtime=self.runtime,
            journal=self.journal,
            reporter=self.reporter,
            gpus=self._gpus,
            clock=self.clock,
            contact=self.contact,
            outputs=None,
        )
        await self.runtime.open()
        await self.units.open()
        self.ear = Ear(self.reporter, self.units if acknowledging else None)
        return self

    async def close(self):
        await self.ear.aclose()
        await self.units.aclose()
        await self.runtime.aclose()
        self.journal.close()

    async def restart(self, *, acknowledging=True):
        await self.close()
        await self.open(acknowledging=acknowledging)

    def assign(self, *args, complete=False, **changes):
        self.units.assign([make_assignment(*args, **changes)], complete=complete)

    def stop(self, party_run_id="run1", cause=Reason.STOPPED_BY_USER):
        self.assign(party_run_id, Desired.STOPPED, cause)

    async def until_stop_is_asked(self, party_run_id="run1"):
        def is_asked():
            return any(
                unit.party_run_id == party_run_id and unit.stop_stage is StopStage.ASKED
                for unit in self.units.held
            )

        await until(is_asked)

    async def until_gone(self, party_run_id="run1"):
        await until(lambda: party_run_id not in self.units.party_run_ids)
