import pytest

from flow_contract.reasons import Reason
from flow_contract.templates import Mount, Network, Resources
from party_agent import policy
from party_agent.policy.site import Site
from party_agent.runtime.port import Bind, RuntimeRefused
from tests.agent.fakes import make_spec


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "scans"
    (root / "2024").mkdir(parents=True)
    (root / "2024" / "a.csv").write_text("1")
    (root / "inner").symlink_to(root / "2024")
    (tmp_path / "secret").mkdir()
    (root / "escape").symlink_to(tmp_path / "secret")
    (tmp_path / "scans-other").mkdir()
    labs = tmp_path / "labs"
    labs.mkdir()
    return Site(data={"scans": root, "labs": labs}, cpus=4, memory_bytes=8 * 2**30)


def refusal_of(call, *args):
    with pytest.raises(RuntimeRefused) as refusal:
        call(*args)
    return refusal.value


def test_a_name_is_its_root(site):
    assert policy.resolve(site, "scans") == site.data["scans"]


def test_a_path_below_a_name_is_allowed(site):
    assert policy.resolve(site, "scans/2024/a.csv") == site.data["scans"] / "2024" / "a.csv"
    assert policy.resolve(site, "scans/") == site.data["scans"]


def test_an_absolute_path_inside_a_root_is_allowed(site):
    path = site.data["scans"] / "2024"
    assert policy.resolve(site, str(path)) == path


def test_a_link_that_stays_inside_is_followed(site):
    assert policy.resolve(site, "scans/inner") == site.data["scans"] / "2024"


@pytest.mark.parametrize("name", ["bones", "scans/2025", "", ".", "..", "scans\x00", "scans/\x00"])
def test_an_unknown_name_is_refused(site, name):
    refusal = refusal_of(policy.resolve, site, name)
    assert refusal.reason is Reason.DATA_UNKNOWN
    assert policy.RULE_DATA_NAMES in refusal.message


@pytest.mark.parametrize(
    "name",
    [
        "scans/..",
        "scans/../secret",
        "scans/../labs",
        "scans/escape",
        "scans/escape/below",
        "scans/../scans-other",
        "scans/../nothing-there",
        "/",
        "/etc/passwd",
        "/no/such/path",
        "scans//etc",
    ],
)
def test_a_path_outside_is_refused_whether_it_exists_or_not(site, name):
    refusal = refusal_of(policy.resolve, site, name)
    assert refusal.reason is Reason.DATA_OUTSIDE_ROOTS
    assert policy.RULE_DATA_ROOTS in refusal.message


def test_a_neighbour_whose_name_begins_alike_is_outside(site):
    path = str(site.data["scans"]) + "-other"
    assert refusal_of(policy.resolve, site, path).reason is Reason.DATA_OUTSIDE_ROOTS


def test_a_refusal_holds_no_path_of_the_site(site, tmp_path):
    for name in ("bones", "scans/escape", "scans/2025", "scans/.."):
        assert str(tmp_path) not in refusal_of(policy.resolve, site, name).message


def test_data_and_mounts_are_read_only_binds(site):
    spec = make_spec(federated_data="scans", mounts=(Mount(data_name="labs", target="/labs"),))
    assert policy.data_binds(site, spec) == (
        Bind(source=site.data["scans"], target="/data"),
        Bind(source=site.data["labs"], target="/labs"),
    )


def test_no_data_named_is_no_bind(site):
    assert policy.data_binds(site, make_spec()) == ()


def test_network_is_denied_unless_the_site_allows_it(site):
    spec = make_spec(network=Network.BRIDGE)
    refusal = refusal_of(policy.check, site, spec)
    assert refusal.reason is Reason.POLICY_DENIED
    assert f"Rule {policy.RULE_NETWORK}" in refusal.message
    policy.check(Site(allow_network=True), spec)
    policy.check(site, make_spec(network=Network.NONE))


@pytest.mark.parametrize(
    ("resources", "rule"),
    [
        (Resources(cpus=4.5), policy.RULE_CPUS),
        (Resources(memory_bytes=9 * 2**30), policy.RULE_MEMORY),
    ],
)
def test_more_than_the_site_has_is_refused(site, resources, rule):
    spec = make_spec(resources=resources)
    refusal = refusal_of(policy.check, site, spec)
    assert refusal.reason is Reason.RESOURCES_UNAVAILABLE
    assert rule in refusal.message
    policy.check(Site(), spec)


def test_all_that_the_site_has_may_be_used(site):
    policy.check(site, make_spec(resources=Resources(cpus=4, memory_bytes=8 * 2**30)))
