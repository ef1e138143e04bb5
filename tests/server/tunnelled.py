"""A run of two parties and their coordinator, launched, with a scripted agent at each."""

from flow_contract.coordination import COORDINATOR_NAME, PortRange, RunRole
from flow_contract.templates import Coordinator, TemplateSpec
from flow_wire import templates_pb2 as pb
from flow_wire import templates_pb2_grpc
from flow_wire.codec.templates import encode_template_spec

SERVES = 8080
MESH = 29500
ONE_PORT = (PortRange(first=MESH, last=MESH),)


class CoordinatedRun:
    """`party_run_ids` by role or party: coordinator, hospital-a, hospital-b."""

    def __init__(self, agents, items, task_id, run_id):
        self.agents = agents
        self.items = items
        self.task_id = task_id
        self.run_id = run_id
        self.party_run_ids = {name: item.spec.party_run_id for name, item in items.items()}

    async def open(self, own, peer, port, agent=None):
        """Ask for a tunnel from one member to another, each by its name."""
        return await self.agents[agent or own].open_tunnel(
            self.party_run_ids[own], self.party_run_ids[peer], port
        )


async def make_template(channel, *, mesh=ONE_PORT, metadata=()):
    """Return the id of a template with a coordinator at `hub`."""
    spec = TemplateSpec(
        name="coordinated",
        image_url="image:1",
        command=("train",),
        coordinator=Coordinator(command=("serve",), ports=(SERVES,), party="hub"),
        mesh=mesh,
    )
    stub = templates_pb2_grpc.TemplateServiceStub(channel)
    request = pb.CreateTemplateRequest(spec=encode_template_spec(spec))
    return (await stub.Create(request, metadata=metadata)).template_id


async def start_coordinated(sdk, channel, connect, **template):
    """Start it, with agents that `connect(federated_id)` connects; return once it runs."""
    places = {"coordinator": "hub", "hospital-a": "hospital-a", "hospital-b": "hospital-b"}
    agents = {name: await connect(federated_id) for name, federated_id in places.items()}
    created = await sdk.task.create(
        name="task",
        template_id=await make_template(channel, **template),
        remark="",
        federate_data=[
            {"federated_id": party, "federated_data": ""} for party in ("hospital-a", "hospital-b")
        ],
    )
    assert created["ret_code"] == 0, created
    task_id = created["data"]["task_id"]
    started = await sdk.task.start(task_id)
    assert started["ret_code"] == 0, started
    for name, agent in agents.items():
        await agent.prepare(_role(name))
    items = {name: await agent.launch(_role(name)) for name, agent in agents.items()}
    return CoordinatedRun(agents, items, task_id, items["coordinator"].spec.run_id)


def _role(name):
    return RunRole.COORDINATOR if name == COORDINATOR_NAME else RunRole.PARTY
