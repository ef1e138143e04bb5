"""Who may do what: every call has a rule, and a rule decides as its sentence says."""

import importlib
import pkgutil
from dataclasses import replace

import pytest

import flow_wire
from flow_contract.access import ROLE_RIGHTS, Caller, CallerKind, Right, Role
from flow_contract.errors import Forbidden, Unauthenticated
from flow_server.domain.access import RULES, Rule, Who, admit, decide, listed_owner, owner_name

NOBODY = Caller(kind=CallerKind.NOBODY)
PARTY = Caller(kind=CallerKind.PARTY, name="hospital-a")
LOCAL = Caller(kind=CallerKind.LOCAL, name="local", rights=frozenset(Right))

OF_AGENTS = (
    *("AgentService/", "LogService/Push", "MetricService/Push", "OutputService/Push"),
    "TunnelService/",
)


def user(role, name="ana"):
    return Caller(kind=CallerKind.USER, name=name, rights=ROLE_RIGHTS[role])


def is_allowed(method, caller, owner=None):
    try:
        decide(RULES[method], caller, owner)
    except (Forbidden, Unauthenticated):
        return False
    return True


def described_methods():
    """Every method of every service that the wire knows."""
    for module in pkgutil.iter_modules(flow_wire.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"flow_wire.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                for method in service.methods:
                    yield f"{service.name}/{method.name}"


def test_every_call_has_a_rule_and_every_rule_a_call():
    assert set(described_methods()) == set(RULES)


@pytest.mark.parametrize("method", RULES)
def test_nobody_is_asked_who_they_are_everywhere_but_at_enrolment(method):
    if method == "EnrolmentService/Enrol":
        admit(RULES[method], NOBODY)
    else:
        with pytest.raises(Unauthenticated, match="token"):
            admit(RULES[method], NOBODY)


@pytest.mark.parametrize("method", RULES)
def test_a_party_speaks_for_itself_and_a_user_never_does(method):
    is_for_parties = method.startswith((*OF_AGENTS, "EnrolmentService/"))
    assert is_allowed(method, PARTY) == is_for_parties
    if method.startswith(OF_AGENTS):
        assert not is_allowed(method, user(Role.ADMIN))


@pytest.mark.parametrize("method", RULES)
def test_the_local_caller_of_an_insecure_server_may_do_everything(method):
    assert is_allowed(method, LOCAL, owner="ana")
    assert is_allowed(method, LOCAL, owner="")


@pytest.mark.parametrize(
    ("method", "role", "own", "anothers", "nobodys"),
    [
        ("TemplateService/Update", Role.RESEARCHER, True, False, False),
        ("TemplateService/Update", Role.ADMIN, True, True, True),
        ("TemplateService/Get", Role.VIEWER, True, True, True),
        ("TaskService/Get", Role.VIEWER, True, True, True),
        ("TaskService/Get", Role.RESEARCHER, True, False, False),
        ("TaskService/Wait", Role.RESEARCHER, True, False, False),
        ("RunService/List", Role.OPERATOR, True, True, True),
        ("TaskService/Start", Role.OPERATOR, False, False, False),
        ("TaskService/Stop", Role.OPERATOR, True, True, True),
        ("TaskService/Stop", Role.RESEARCHER, True, False, False),
        ("TaskService/Delete", Role.VIEWER, False, False, False),
        ("UserService/RevokeToken", Role.VIEWER, True, False, False),
        ("UserService/RevokeToken", Role.ADMIN, True, True, True),
    ],
)
def test_owning_helps_where_the_rule_says_so(method, role, own, anothers, nobodys):
    caller = user(role)
    allowed = [is_allowed(method, caller, owner=owner) for owner in ("ana", "ben", "")]
    assert allowed == [own, anothers, nobodys]


def test_whoever_has_too_few_rights_is_refused_before_anything_is_read():
    with pytest.raises(Forbidden, match="run"):
        admit(RULES["TaskService/Start"], user(Role.VIEWER))
    admit(RULES["TaskService/Start"], user(Role.RESEARCHER))


def test_the_refusal_of_anothers_task_names_nobody():
    with pytest.raises(Forbidden) as caught:
        decide(RULES["TaskService/Get"], user(Role.RESEARCHER), "ben-the-secret")
    assert "another user's; ask its owner or an operator" in caught.value.message
    assert "ben" not in caught.value.message


def test_a_token_with_fewer_rights_than_its_user_owns_and_still_may_not():
    token = replace(user(Role.RESEARCHER), rights=frozenset({Right.READ}))
    assert is_allowed("TaskService/Get", token, owner="ana")
    assert not is_allowed("TaskService/Delete", token, owner="ana")


def test_a_listing_shows_ones_own_without_the_right_to_see_all():
    rule = RULES["TaskService/List"]
    assert listed_owner(rule, user(Role.RESEARCHER)) == "ana"
    assert listed_owner(rule, user(Role.VIEWER)) is None
    assert listed_owner(rule, LOCAL) is None


def test_what_the_local_caller_makes_is_nobodys():
    assert owner_name(LOCAL) == ""
    assert owner_name(PARTY) == ""
    assert owner_name(user(Role.VIEWER)) == "ana"


def test_any_user_may_ask_who_they_are_whatever_their_rights():
    bare = Caller(kind=CallerKind.USER, name="ana@login.example")
    assert is_allowed("UserService/WhoAmI", bare)
    assert not is_allowed("TemplateService/List", bare)


def test_a_rule_without_rights_for_users_lets_only_owners_pass():
    rule = Rule(who=Who.USER)
    with pytest.raises(Forbidden):
        admit(rule, user(Role.ADMIN))
