"""Coordinators and meshes as users write and see them."""

from dataclasses import replace
from inspect import signature

import pytest

from flow_contract.coordination import (
    Ends,
    Framework,
    PeerProgress,
    PortRange,
    RunRole,
    Traffic,
)
from flow_contract.lifecycle import PartyRunState, RunStatus
from flow_contract.templates import Coordinator, Resources
from flow_server_sdk import methods, shapes
from flow_server_sdk.payloads.templates import template_spec
from flow_wire import templates_pb2
from flow_wire.codec.templates import decode_template_spec
from tests.sdk import examples

TEMPLATE = {"name": "fedavg", "image_url": "fedavg:1", "workdir": "", "command": []}
COORDINATOR = {
    "image_url": "fedavg-server:1",
    "workdir": "/server",
    "party": "hospital-a",
    "command": ["python", "server.py"],
    "ports": [8080, 8081],
    "env": {"ROUNDS": "3"},
    "resources": {"cpus": 2.0},
    "ends": "by_itself",
    "decides": True,
}
SPEC = Coordinator(
    image_url="fedavg-server:1",
    workdir="/server",
    command=("python", "server.py"),
    env={"ROUNDS": "3"},
    resources=Resources(cpus=2.0),
    ports=(8080, 8081),
    party="hospital-a",
    ends=Ends.BY_ITSELF,
    decides=True,
)
MESH = (PortRange(first=29500, last=29500), PortRange(first=32768, last=60999))
SITE = "federate-1"


def members(*, said: tuple[PeerProgress, ...] = (), state: PartyRunState = PartyRunState.RUNNING):
    """Two parties, and a coordinator at the site of the first of them."""
    return (
        examples.party_run(federated_id=SITE, rank=0, party_run_id="a" * 32),
        examples.party_run(federated_id="federate-2", rank=1, party_run_id="b" * 32),
        examples.party_run(
            state, federated_id=SITE, rank=2, role=RunRole.COORDINATOR, peer_progress=said
        ),
    )


def test_what_is_given_reaches_the_server(sdk, server):
    server.replies(methods.CREATE_TEMPLATE, templates_pb2.CreateTemplateResponse(template_id="1"))
    sdk.template.create(
        **TEMPLATE,
        coordinator=COORDINATOR,
        mesh=[29500, "32768-60999"],
        connect_timeout_s=5,
        framework="iflearner",
    )
    sdk.template.create(**TEMPLATE, coordinator={"ports": [80]}, framework="none")
    given, plain = (
        decode_template_spec(request.spec) for request in server.asked(methods.CREATE_TEMPLATE)
    )
    assert (given.coordinator, given.mesh, given.connect_timeout_s) == (SPEC, MESH, 5)
    assert given.framework is Framework.IFLEARNER
    assert (plain.coordinator, plain.mesh, plain.connect_timeout_s) == (
        Coordinator(ports=(80,)),
        (),
        60,
    )
    assert plain.framework is Framework.NONE


def test_a_port_may_be_written_as_a_text_too(sdk, server):
    server.replies(methods.CREATE_TEMPLATE, templates_pb2.CreateTemplateResponse(template_id="1"))
    sdk.template.create(**TEMPLATE, mesh=["29500", " 1-2 "])
    (request,) = server.asked(methods.CREATE_TEMPLATE)
    assert decode_template_spec(request.spec).mesh == (
        PortRange(first=29500, last=29500),
        PortRange(first=1, last=2),
    )


def test_a_template_shows_them_as_they_are_given():
    spec = replace(
        examples.TEMPLATE.spec,
        coordinator=SPEC,
        mesh=MESH,
        connect_timeout_s=5,
        framework=Framework.IFLEARNER,
    )
    shown = shapes.template(replace(examples.TEMPLATE, spec=spec))
    assert {key: shown[key] for key in shown if key not in examples.TEMPLATE_DICT} == {
        "coordinator": COORDINATOR,
        "mesh": [29500, "32768-60999"],
        "connect_timeout_s": 5,
        "framework": "iflearner",
    }


@pytest.mark.parametrize("coordinator", [None, SPEC, Coordinator(), Coordinator(ports=(1,))])
@pytest.mark.parametrize("mesh", [(), MESH])
def test_what_is_shown_can_be_given_again(coordinator, mesh):
    spec = replace(examples.TEMPLATE.spec, coordinator=coordinator, mesh=mesh)
    shown = shapes.template(replace(examples.TEMPLATE, spec=spec))
    of_the_server = ("template_id", "create_time", "modify_time")
    given = {name: value for name, value in shown.items() if name not in of_the_server}
    names = signature(template_spec).parameters
    assert template_spec(**(dict.fromkeys(names) | given)) == spec


def test_the_coordinator_stands_beside_the_parties_and_not_among_them():
    for shown in (
        shapes.task(examples.task(RunStatus.RUNNING, *members())),
        shapes.run(replace(examples.run(), party_runs=members())),
    ):
        parties, coordinator = shown["party_status"], shown["coordinator"]
        assert [(each["name"], each["role"]) for each in parties] == [
            (SITE, "party"),
            ("federate-2", "party"),
        ]
        assert (coordinator["name"], coordinator["federated_id"], coordinator["role"]) == (
            "coordinator",
            SITE,
            "coordinator",
        )
        assert coordinator.keys() == parties[0].keys()
        assert (parties[0]["party_run_id"], coordinator["party_run_id"]) == ("a" * 32, "c" * 32)


def test_a_run_without_a_coordinator_has_none():
    assert shapes.run(examples.run())["coordinator"] is None
    # As documented, and nothing beyond it.
    assert "coordinator" not in shapes.task(examples.task(RunStatus.RUNNING))


def test_what_a_coordinator_says_of_a_party_counts_for_that_party_alone():
    said = PeerProgress(
        federated_id=SITE, ready=True, complete=True, current_epoch=2, total_epoch=3
    )
    shown = shapes.task(examples.task(RunStatus.RUNNING, *members(said=(said,))))
    keys = ("ready", "complete", "current_epoch", "total_epoch")
    progress = [tuple(each[key] for key in keys) for each in shown["party_status"]]
    assert progress == [(True, True, 2, 3), (True, False, None, None)]
    assert [shown["coordinator"][key] for key in keys] == [True, False, None, None]


def test_a_party_that_its_coordinator_has_not_seen_is_not_ready():
    said = PeerProgress(federated_id=SITE, ready=False)
    run = replace(examples.run(), party_runs=members(said=(said,)))
    party = shapes.run(run)["party_status"][0]
    # The coordinator says no epochs: the run's own total stays.
    assert (party["ready"], party["complete"], party["total_epoch"]) == (False, False, 4)


def test_only_a_coordinators_word_counts():
    said = PeerProgress(federated_id="federate-2", ready=False, current_epoch=9)
    first, second, coordinator = members()
    meddling = replace(first, peer_progress=(said,))
    shown = shapes.task(examples.task(RunStatus.RUNNING, meddling, second, coordinator))
    assert shown["party_status"][1]["current_epoch"] is None


def test_each_member_shows_what_it_and_its_peers_have_said_to_each_other():
    traffic = Traffic(peer="coordinator", sent_bytes=7, received_bytes=9, connections=2)
    shown = shapes.task(examples.task(RunStatus.RUNNING, examples.party_run(traffic=(traffic,))))
    assert shown["party_status"][0]["traffic"] == [
        {"peer": "coordinator", "sent_bytes": 7, "received_bytes": 9, "connections": 2}
    ]
