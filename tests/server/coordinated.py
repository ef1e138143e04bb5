"""A run with a coordinator, played step by step: its members by name, wherever they are."""

from flow_contract.coordination import RunRole
from tests.server.flows import make_task

A, B, HUB = "hospital-a", "hospital-b", "hub"
PORTS = [50051]
COORDINATOR = "coordinator"


class Member:
    """One member of the run at its agent."""

    def __init__(self, agent, role=RunRole.PARTY):
        self.agent = agent
        self._role = role
        self.item = None

    async def prepare(self):
        self.item = await self.agent.prepare(self._role)
        return self.item

    async def launch(self):
        self.item = await self.agent.launch(self._role)
        return self.item

    async def finish(self, exit_code=0):
        await self.agent.finish(self.item, exit_code)

    async def stop(self, cause):
        await self.agent.stop(cause, self._role)

    def forget(self):
        """Keep nothing in mind of a run that has ended."""
        del self.agent.assignments[self.item.spec.party_run_id]

    async def report(self, state, **fields):
        await self.agent.report(self.item.spec.party_run_id, state, **fields)


class CoordinatedRun:
    """A task of two parties and a coordinator at `place`, which may be one of them."""

    def __init__(self, sdk, agents, place):
        self._sdk = sdk
        self.task_id = ""
        self.parties = [Member(agents[A]), Member(agents[B])]
        self.coordinator = Member(agents[place], RunRole.COORDINATOR)
        self.members = [*self.parties, self.coordinator]

    async def start(self, *, name="task-1", **template):
        self.task_id = await make_task(self._sdk, [A, B], name=name, **template)
        answer = await self._sdk.task.start(self.task_id)
        assert answer["ret_code"] == 0, answer
        return self

    async def prepare(self):
        for member in self.members:
            await member.prepare()

    async def launch(self):
        await self.prepare()
        for member in self.members:
            await member.launch()

    async def shown(self):
        """Return the status, and (state, reason) by name, the coordinator under its own."""
        data = (await self._sdk.task.get(self.task_id))["data"]
        entries = {entry["name"]: entry for entry in data["party_status"]}
        if data["coordinator"] is not None:
            entries[COORDINATOR] = data["coordinator"]
        return data["status"], {
            name: (entry["state"], entry["reason"]) for name, entry in entries.items()
        }

    async def ended(self):
        """Wait for the end; return (status, message)."""
        data = (await self._sdk.task.wait(self.task_id, timeout_s=60))["data"]
        return data["status"], data["run_message"]


def coordinator(place="", **more):
    return {"command": ["serve"], "ports": PORTS, "party": place, **more}


async def coordinated(sdk, connect, place=HUB, *, coordinates=False, **more):
    """Start a run whose coordinator is put at `place`, or anywhere where `coordinates`."""
    agents = {
        name: await connect(name, coordinates=name == place and coordinates)
        for name in {A, B, place}
    }
    run = CoordinatedRun(sdk, agents, place)
    template = more.pop("template", {})
    await run.start(coordinator=coordinator("" if coordinates else place, **more), **template)
    return run
