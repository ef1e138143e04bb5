"""Data names: what they lead to, and everything that must not lead anywhere."""

import os
import socket
import threading
from pathlib import Path

import pytest

from flow_contract.reasons import Reason
from flow_contract.templates import Mount
from party_agent.policy import data
from party_agent.policy.rules import DataRule, DataRules, Rules, quick_rules
from party_agent.policy.site import Site, data_binds
from party_agent.runtime.port import Bind, RuntimeRefused
from tests.agent.fakes import make_spec


@pytest.fixture
def roots(tmp_path):
    root = tmp_path / "scans"
    (root / "2024").mkdir(parents=True)
    (root / "2024" / "a.csv").write_text("1")
    (root / "inner").symlink_to(root / "2024")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("s")
    (root / "escape").symlink_to(tmp_path / "secret")
    (root / "key").symlink_to(tmp_path / "secret" / "key")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    (tmp_path / "scans-other").mkdir()
    labs = tmp_path / "labs"
    labs.mkdir()
    return {"scans": root, "labs": labs}


@pytest.fixture
def quick(roots):
    return quick_rules(roots).data


@pytest.fixture
def filed(roots):
    """As a policy file would have it: no absolute paths, labs for two users only."""
    return DataRules(
        names={
            "scans": DataRule(path=roots["scans"]),
            "labs": DataRule(path=roots["labs"], users=("alice", "team-*")),
        }
    )


def refusal_of(rules, name, user=None):
    with pytest.raises(RuntimeRefused) as refusal:
        data.resolve(rules, name, user=user)
    return refusal.value


def test_a_name_is_its_root(quick, roots):
    assert data.resolve(quick, "scans") == roots["scans"]


def test_a_path_below_a_name_is_allowed(quick, roots):
    assert data.resolve(quick, "scans/2024/a.csv") == roots["scans"] / "2024" / "a.csv"
    assert data.resolve(quick, "scans/") == roots["scans"]


def test_an_absolute_path_inside_a_root_is_allowed_without_a_policy_file(quick, roots):
    path = roots["scans"] / "2024"
    assert data.resolve(quick, str(path)) == path


def test_an_absolute_path_is_no_name_with_a_policy_file(filed, roots):
    assert refusal_of(filed, str(roots["scans"])).reason is Reason.DATA_UNKNOWN


def test_a_link_that_stays_inside_is_followed_to_what_is_mounted(quick, roots):
    assert data.resolve(quick, "scans/inner") == roots["scans"] / "2024"


UNKNOWN = [
    "bones",
    "scans/2025",
    "scans/2024/a.csv/below",
    "scans/loop",
    "scans/pipe",
    "",
    ".",
    "..",
    "SCANS",
    "scans ",
    "scans\x00",
    "scans/\x00",
    # Nobody decodes anything: these are names of directories that are not there.
    "scans/%2e%2e/secret",
    "scans%2f..%2fsecret",
    "scans/..%2fsecret",
    "scans/..\\secret",
    "scans/\uff0e\uff0e/secret",
    "scans/\u2024\u2024/secret",
    "\uff53\uff43\uff41\uff4e\uff53",
    "scans\u200b",
    "scans/" + "a" * 300,
    "scans/" + "a/" * 3000,
    "file:///etc/passwd",
    "~",
    "$HOME",
]

OUTSIDE = [
    "scans/..",
    "scans/../secret",
    "scans/../labs",
    "scans/2024/../../secret",
    "scans/2024/..",
    "scans/./../secret",
    "scans/escape",
    "scans/escape/key",
    "scans/escape/no-such",
    "scans/key",
    "scans/../scans-other",
    "scans/../nothing-there",
    "scans//etc",
    "scans/2024\x00/../../secret",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_refused(quick, filed, name):
    for rules in (quick, filed):
        refusal = refusal_of(rules, name)
        assert refusal.reason is Reason.DATA_UNKNOWN
        assert refusal.message.startswith("Rule data.names.")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_outside_is_refused_whether_it_exists_or_not(quick, filed, name):
    for rules in (quick, filed):
        refusal = refusal_of(rules, name)
        assert refusal.reason is Reason.DATA_OUTSIDE_ROOTS
        assert refusal.message.startswith("Rule data.roots.")


@pytest.mark.parametrize("name", ["/", "/etc/passwd", "/no/such/path", "//etc", "/proc/self/root"])
def test_an_absolute_path_outside_is_refused(quick, filed, name):
    assert refusal_of(quick, name).reason is Reason.DATA_OUTSIDE_ROOTS
    assert refusal_of(filed, name).reason is Reason.DATA_UNKNOWN


def test_a_neighbour_whose_name_begins_alike_is_outside(quick, roots):
    path = str(roots["scans"]) + "-other"
    assert refusal_of(quick, path).reason is Reason.DATA_OUTSIDE_ROOTS


@pytest.mark.parametrize("name", UNKNOWN + OUTSIDE)
def test_a_refusal_holds_nothing_but_the_rule(quick, tmp_path, name):
    message = refusal_of(quick, name).message
    assert str(tmp_path) not in message
    # The same sentence whatever was asked for.
    assert message in {refusal_of(quick, "bones").message, refusal_of(quick, "scans/..").message}


def test_a_socket_in_a_root_is_no_data(quick, roots, monkeypatch):
    monkeypatch.chdir(roots["scans"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("engine.sock")
        assert refusal_of(quick, "scans/engine.sock").reason is Reason.DATA_UNKNOWN


@pytest.mark.parametrize(
    ("user", "passes"),
    [
        ("alice", True),
        ("team-a", True),
        ("bob", False),
        ("Alice", False),
        ("", False),
        (None, False),
    ],
)
def test_data_are_for_the_users_that_their_rule_names(filed, roots, user, passes):
    if passes:
        assert data.resolve(filed, "labs", user=user) == roots["labs"]
    else:
        refusal = refusal_of(filed, "labs", user)
        assert refusal.reason is Reason.POLICY_DENIED
        assert refusal.message.startswith("Rule data.users.")


def test_a_path_into_data_of_other_users_is_no_way_round_their_rule(roots):
    names = {"labs": DataRule(path=roots["labs"], users=("alice",))}
    rules = DataRules(names=names, absolute_paths=True)
    assert data.resolve(rules, str(roots["labs"]), user="alice") == roots["labs"]
    assert refusal_of(rules, str(roots["labs"]), "bob").reason is Reason.DATA_OUTSIDE_ROOTS


def test_a_name_whose_path_is_a_link_out_of_the_roots_is_refused(roots, tmp_path):
    names = {"sly": DataRule(path=roots["scans"] / "escape")}
    rules = DataRules(names=names, roots=(roots["scans"],))
    assert refusal_of(rules, "sly").reason is Reason.DATA_OUTSIDE_ROOTS
    free = DataRules(names=names, roots=(roots["scans"], tmp_path / "secret"))
    assert data.resolve(free, "sly") == tmp_path / "secret"


def test_roots_that_are_gone_offer_nothing(roots):
    rules = DataRules(names={"scans": DataRule(path=roots["scans"])}, roots=(Path("/no/such"),))
    assert refusal_of(rules, "scans").reason is Reason.DATA_OUTSIDE_ROOTS


def test_a_directory_that_becomes_a_link_between_look_and_use_never_leads_outside(
    quick, roots, tmp_path
):
    real, spare, link = roots["scans"] / "day", roots["scans"] / "spare", roots["scans"] / "link"
    real.mkdir()
    link.symlink_to(tmp_path / "secret")
    done = threading.Event()

    def swap():
        while not done.is_set():
            real.rename(spare)
            link.rename(real)
            real.rename(link)
            spare.rename(real)

    swapping = threading.Thread(target=swap)
    swapping.start()
    allowed = refused = 0
    try:
        # Each look is one chance for the swap to come in between.
        while allowed < 200 or refused < 200:
            try:
                assert data.resolve(quick, "scans/day") == real
                allowed += 1
            except RuntimeRefused:
                refused += 1
    finally:
        done.set()
        swapping.join()


def test_what_became_a_link_after_it_was_followed_is_refused(roots, tmp_path):
    (roots["scans"] / "2024").rename(roots["scans"] / "moved")
    (roots["scans"] / "2024").symlink_to(tmp_path / "secret")
    for late in (roots["scans"] / "2024", roots["scans"] / "2024" / "key"):
        with pytest.raises(RuntimeRefused):
            data._walked(late, [roots["scans"]])


def test_data_and_mounts_are_read_only_binds(roots):
    site = Site(rules=quick_rules(roots))
    spec = make_spec(federated_data="scans", mounts=(Mount(data_name="labs", target="/labs"),))
    assert data_binds(site, spec) == (
        Bind(source=roots["scans"], target="/data"),
        Bind(source=roots["labs"], target="/labs"),
    )


def test_no_data_named_is_no_bind(roots):
    assert data_binds(Site(rules=quick_rules(roots)), make_spec()) == ()
    assert data_binds(Site(rules=Rules()), make_spec()) == ()
