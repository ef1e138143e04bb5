"""Where a coordinator goes, and which starts are refused because of it."""

import pytest

from flow_contract.coordination import PortRange, RunRole
from flow_contract.errors import Conflict
from flow_contract.lifecycle import Desired, PartyRunState, RunStatus
from flow_contract.reasons import Reason
from flow_contract.tasks import PartyData, StartParameters, TaskSpec
from flow_contract.templates import Coordinator, Template, TemplateSpec
from flow_server.domain.placement import MAX_MESH_MEMBERS, Presence
from flow_server.domain.start import plan_start

S = PartyRunState
HERE = Presence(connected=True)
AWAY = Presence(connected=False)
MESH = (PortRange(first=29500, last=29500),)


def plan(parties, present, *, party="", coordinated=True, mesh=()):
    coordinator = Coordinator(ports=(80,), party=party) if coordinated else None
    spec = TemplateSpec(name="t", image_url="i", coordinator=coordinator, mesh=mesh)
    return plan_start(
        task=TaskSpec(
            name="t",
            template_id="x",
            federate_data=tuple(
                PartyData(federated_id=name, federated_data="scans") for name in parties
            ),
        ),
        template=Template(template_id="x", spec=spec, create_time=None, modify_time=None),
        parameters=StartParameters(),
        present=present,
    )


def coordinator_of(plan):
    *parties, last = plan.party_runs
    assert {share.role for share in parties} == {RunRole.PARTY}
    assert last.role is RunRole.COORDINATOR
    return last


def able(*, connected=True, draining=False):
    return Presence(connected=connected, draining=draining, coordinates=True)


def test_it_stands_behind_the_parties_at_the_party_that_the_template_names():
    made = plan(["a", "b"], {"a": HERE, "b": HERE, "hub": HERE}, party="hub")
    last = coordinator_of(made)
    assert (last.federated_id, last.federated_data, last.state) == ("hub", "", S.PENDING)
    assert [share.federated_id for share in made.party_runs] == ["a", "b", "hub"]
    assert (made.status, made.desired) == (RunStatus.STARTED, Desired.PREPARED)


def test_it_may_sit_at_a_party_of_the_run():
    made = plan(["a", "b"], {"a": HERE, "b": HERE}, party="a")
    assert [share.federated_id for share in made.party_runs] == ["a", "b", "a"]
    assert made.refusal is None


def test_a_party_that_is_away_has_until_the_start_deadline():
    made = plan(["a"], {"a": HERE, "hub": AWAY}, party="hub")
    assert coordinator_of(made).reason is Reason.WAITING_FOR_CONNECTION
    assert made.status is RunStatus.PENDING


@pytest.mark.parametrize(
    ("present", "place"),
    [
        ({"hub-2": able(), "hub-1": able()}, "hub-1"),
        ({"hub-1": able(connected=False), "hub-2": able()}, "hub-2"),
        ({"hub-1": able(draining=True), "hub-2": able()}, "hub-2"),
        ({"hub-1": able(connected=False)}, "hub-1"),
        ({"a": able(), "hub-1": able()}, "a"),
    ],
    ids=["lowest id", "connected first", "not a draining one", "one that is away", "a party"],
)
def test_without_a_party_of_its_own_it_goes_to_one_that_coordinates(present, place):
    made = plan(["a"], {"a": HERE} | present)
    assert coordinator_of(made).federated_id == place
    assert made.refusal is None


@pytest.mark.parametrize("present", [{}, {"hub": able(draining=True)}], ids=["none", "draining"])
def test_where_nobody_coordinates_the_start_is_refused_and_says_what_to_do(present):
    made = plan(["a"], {"a": HERE} | present)
    last = coordinator_of(made)
    assert (last.federated_id, last.state) == ("", S.REFUSED)
    assert last.reason is Reason.NO_COORDINATING_AGENT
    assert made.party_runs[0].reason is Reason.START_ROLLED_BACK
    assert made.status is RunStatus.FAILED
    assert made.refusal.field == "coordinator.party"
    assert "fedflow agent --coordinator" in str(made.refusal)


@pytest.mark.parametrize(
    ("hub", "reason"),
    [
        (None, Reason.PARTY_UNKNOWN),
        (Presence(connected=True, draining=True), Reason.PARTY_DRAINING),
    ],
)
def test_a_named_party_that_can_not_take_it_refuses_the_start(hub, reason):
    made = plan(["a"], {"a": HERE} | ({"hub": hub} if hub else {}), party="hub")
    assert (coordinator_of(made).state, coordinator_of(made).reason) == (S.REFUSED, reason)
    assert made.message.startswith("the coordinator's party")
    assert made.refusal.subject_id == "hub"


def test_a_party_that_is_missing_is_named_before_the_coordinator():
    made = plan(["a", "b"], {"a": HERE})
    assert made.message == "task party not found: b"
    assert coordinator_of(made).reason is Reason.NO_COORDINATING_AGENT


def test_more_members_than_a_mesh_can_have_are_refused():
    names = [f"p{number}" for number in range(MAX_MESH_MEMBERS)]
    present = dict.fromkeys(names, HERE)
    assert plan(names, present, coordinated=False, mesh=MESH).refusal is None
    assert plan(names, present | {"hub": HERE}, party="hub").refusal is None
    with pytest.raises(Conflict, match="257 members"):
        plan(names, present | {"hub": HERE}, party="hub", mesh=MESH)


def test_a_party_that_is_called_coordinator_can_not_meet_one():
    present = {"coordinator": HERE, "hub": HERE}
    with pytest.raises(Conflict, match="can't be told from"):
        plan(["coordinator"], present, party="hub")
    assert plan(["coordinator"], present, coordinated=False).refusal is None
