"""What comes from a coordinator is told apart from what its site's own party run says."""

import grpc
import pytest

from flow_contract.coordination import PeerProgress, Traffic
from flow_contract.lifecycle import PartyRunState
from flow_contract.metrics import MetricBatch, MetricPoints
from flow_contract.outputs import OutputState
from flow_contract.reasons import Reason
from flow_wire import metrics_pb2, metrics_pb2_grpc
from flow_wire.codec.metrics import encode_metric_batch
from tests.server.coordinated import A, B, coordinated
from tests.server.event_watch import RawWatch
from tests.server.log_client import Pusher, Reader, chunk_of
from tests.server.output_client import OutputPusher

S = PartyRunState
BOTH = ("coordinator", A)


@pytest.fixture
async def run(sdk, connect):
    """A running one whose coordinator sits at the first party."""
    run = await coordinated(sdk, connect, A)
    await run.launch()
    return run


@pytest.fixture
def ids(run):
    """The party run ids of the two that share a site."""
    return {
        "coordinator": run.coordinator.item.spec.party_run_id,
        A: run.parties[0].item.spec.party_run_id,
    }


async def test_logs_are_read_by_the_member_s_name(server, run, ids):
    async with Pusher(server.agents_address, A) as pusher:
        await pusher.hello(*ids.values())
        for name, party_run_id in ids.items():
            await pusher.push(chunk_of(party_run_id, 0, f"{name}\n".encode()))
    async with Reader(server.grpc_address) as reader:
        everything = await reader.read(run.task_id).to_the_end()
        assert [log.federated_id for log in everything.head.parties] == [A, B, "coordinator"]
        for name in BOTH:
            only = await reader.read(run.task_id, parties=(name,)).to_the_end()
            assert only.text() == f"{name}\n".encode()


async def test_metrics_are_listed_by_the_member_s_name(server, sdk, run, ids):
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        stub = metrics_pb2_grpc.MetricServiceStub(channel)
        for value, party_run_id in enumerate(ids.values()):
            points = MetricPoints(names=("loss",), steps=(0,), at_us=(1,), values=(float(value),))
            batch = MetricBatch(party_run_id=party_run_id, first_sequence=1, points=points)
            await stub.Push(
                metrics_pb2.PushMetricsRequest(federated_id=A, batch=encode_metric_batch(batch))
            )
        listed = await stub.List(metrics_pb2.ListMetricsRequest(task_id=run.task_id, limit=10))
        assert [party.federated_id for party in listed.parties] == [A, "coordinator"]
        for value, name in enumerate(ids):
            only = await stub.List(
                metrics_pb2.ListMetricsRequest(task_id=run.task_id, federated_id=name, limit=10)
            )
            (party,) = only.parties
            assert (party.federated_id, list(party.points.value)) == (name, [float(value)])


async def test_outputs_of_one_name_are_two_files(server, run, ids, output_reader):
    for name, party_run_id in ids.items():
        async with OutputPusher(server.agents_address, A) as pusher:
            assert await pusher.hello(party_run_id) is OutputState.OPEN
            await pusher.pack({"model": name.encode()})
    listed = await output_reader.list(run.task_id)
    assert [(party.federated_id, party.files) for party in listed.parties] == [
        (A, 1),
        (B, 0),
        ("coordinator", 1),
    ]
    assert [file.federated_id for file in listed.files] == [A, "coordinator"]
    for name in BOTH:
        head, content = await output_reader.download(run.task_id, "model", federated_id=name)
        assert (head.federated_id, content) == (name, name.encode())
        only = await output_reader.list(run.task_id, federated_id=name)
        assert [file.federated_id for file in only.files] == [name]


async def test_events_name_the_coordinator(server, run):
    await run.coordinator.finish(exit_code=7)
    watch = RawWatch(server.grpc_address, from_beginning=True, federated_ids=["coordinator"])
    try:
        events = await watch.until(lambda events: any(e.to_value == "failed" for e in events))
    finally:
        await watch.close()
    states = [event.to_value for event in events if event.side == "state"]
    assert states == ["pending", "preparing", "prepared", "running", "failed"]
    assert {event.party_run_id for event in events} == {run.coordinator.item.spec.party_run_id}


async def test_what_members_said_to_each_other_is_kept_until_there_is_news(sdk, run):
    first = Traffic(peer="coordinator", sent_bytes=2**63 - 1, received_bytes=1, connections=1)
    await run.parties[0].report(S.RUNNING, traffic=(first,))
    await run.parties[0].report(S.RUNNING, note="still there")

    data = (await sdk.task.get(run.task_id))["data"]
    assert [entry["traffic"] for entry in data["party_status"]] == [
        [
            {
                "peer": "coordinator",
                "sent_bytes": 2**63 - 1,
                "received_bytes": 1,
                "connections": 1,
            }
        ],
        [],
    ]
    await run.parties[0].report(S.RUNNING, traffic=(Traffic(peer="coordinator", sent_bytes=5),))
    data = (await sdk.task.get(run.task_id))["data"]
    assert data["party_status"][0]["traffic"][0]["sent_bytes"] == 5


async def test_only_a_coordinator_says_how_far_others_are(sdk, run):
    half = (PeerProgress(federated_id=B, ready=True, current_epoch=1, total_epoch=2),)
    whole = (PeerProgress(federated_id=B, ready=True, complete=True, current_epoch=2),)
    await run.coordinator.report(S.RUNNING, peer_progress=half)
    # Of another's progress no party is believed.
    await run.parties[0].report(S.RUNNING, peer_progress=whole)
    await run.coordinator.report(S.RUNNING, note="nothing new")

    entry = (await sdk.task.get(run.task_id))["data"]["party_status"][1]
    assert (entry["current_epoch"], entry["total_epoch"], entry["complete"]) == (1, 2, False)

    await run.coordinator.report(S.RUNNING, peer_progress=whole)
    entry = (await sdk.task.get(run.task_id))["data"]["party_status"][1]
    assert (entry["current_epoch"], entry["complete"]) == (2, True)


async def test_another_party_s_word_on_the_coordinator_counts_for_nothing(run):
    stranger = run.parties[1].agent
    await stranger.report(
        run.coordinator.item.spec.party_run_id, S.FAILED, reason=Reason.EXIT_NONZERO, exit_code=1
    )
    status, shown = await run.shown()
    assert (status, shown["coordinator"]) == ("Running", ("running", "none"))
