"""A server in the wrong hands asks for everything; the site gives nothing more than it would."""

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Mount, Network, Resources
from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import encode_assignment
from tests.agent.fakes import make_assignment, until

S = PartyRunState

RULES = """
[images]
allowed = ["trainer:*"]
[commands]
allowed = [["run"], ["hold", "run"]]
env = ["LR"]
[users]
allowed = {users}
[data.names.scans]
path = "{scans}"
[data.names.genomes]
path = "{scans}"
users = ["alice"]
[limits]
max_cpus = 1
max_memory_bytes = "1 GiB"
max_gpus = 1
max_run_time_s = 600
max_concurrent_runs = 2
"""
MANUAL = "[approval]\nmode = 'manual'\n"


def rules(ruled, more="", users='["*"]'):
    # Without the server's word for who asks, a rule about users would refuse everything.
    text = RULES.format(scans=ruled.data / "scans", users=users).replace(
        '[users]\nallowed = ["*"]\n', ""
    )
    return text + more


ATTEMPTS = {
    "a host path as data": ({"federated_data": "/etc"}, "data.names"),
    "the root as data": ({"federated_data": "/"}, "data.names"),
    "a path out of the data": ({"federated_data": "scans/../.."}, "data.roots"),
    "an encoded path": ({"federated_data": "scans/%2e%2e/%2e%2e"}, "data.names"),
    "data by a mount": ({"mounts": (Mount(data_name="/var/run", target="/x"),)}, "data.names"),
    "the engine's socket": (
        {"mounts": (Mount(data_name="/var/run/docker.sock", target="/x.sock"),)},
        "data.names",
    ),
    "a mount over the system": (
        {"mounts": (Mount(data_name="scans", target="/proc"),)},
        "request.form",
    ),
    "a mount over the output": (
        {"mounts": (Mount(data_name="scans", target="/output"),)},
        "request.form",
    ),
    "somebody else's data": ({"federated_data": "genomes"}, "data.users"),
    "another image": ({"image_url": "miner:1"}, "images.allowed"),
    "another image with an allowed name before it": (
        {"image_url": "evil.example/trainer:1"},
        "images.allowed",
    ),
    "an allowed tag with another content": (
        {"image_url": "trainer:1@sha256:" + "0" * 64},
        "images.allowed",
    ),
    "an image by its id": ({"image_url": "4bcff63911fc"}, "images.allowed"),
    "no image": ({"image_url": ""}, "request.form"),
    "another command": ({"command": ("sh", "-c", "id")}, "commands.allowed"),
    "the image's own command": ({"command": ()}, "commands.allowed"),
    "a library of its own": ({"env": {"LD_PRELOAD": "/data/x.so"}}, "commands.env"),
    "the site's own variables": ({"env": {"FEDFLOW_PARTY_ID": "bank"}}, "request.form"),
    "more cores": ({"resources": Resources(cpus=1.5)}, "limits.max_cpus"),
    "endless cores": ({"resources": Resources(cpus=0.0)}, "request.form"),
    "cores that are no number": ({"resources": Resources(cpus=float("nan"))}, "request.form"),
    "more memory": (
        {"resources": Resources(memory_bytes=2**30 + 1)},
        "limits.max_memory_bytes",
    ),
    "endless memory": ({"resources": Resources(memory_bytes=-1)}, "request.form"),
    "endless processes": ({"resources": Resources(pids=-1)}, "request.form"),
    "more GPUs": ({"resources": Resources(gpus=GpuRequest(count=2))}, "limits.max_gpus"),
    "more time": ({"run_timeout_s": 601}, "limits.max_run_time_s"),
    "a stop that takes for ever": ({"stop_grace_s": 2**31 - 1}, "request.form"),
    "a network": ({"network": Network.BRIDGE}, "network.mode"),
    "another party's run": ({"federated_id": "hospital-b"}, "request.party"),
    "nobody's run": ({"federated_id": ""}, "request.party"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
@pytest.mark.parametrize("desired", [Desired.PREPARED, Desired.RUNNING])
async def test_what_the_rules_forbid_is_neither_prepared_nor_run(ruled, name, desired):
    changes, rule = ATTEMPTS[name]
    await ruled.start(rules(ruled))
    ruled.server.assign(make_assignment(desired=desired, **changes))
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith(f"Rule {rule}.")
    assert str(ruled.data) not in report.message
    assert ruled.workloads == {}
    assert ruled.starts == {}


async def test_what_the_rules_allow_runs_within_the_site_s_limits(ruled):
    await ruled.start(rules(ruled))
    ruled.server.assign(make_assignment(federated_data="scans", env={"LR": "1"}))
    await ruled.server.until_state(S.RUNNING)
    workload = ruled.workloads["run1"]
    assert (workload.resources.cpus, workload.resources.memory_bytes) == (1, 2**30)
    data = next(bind for bind in workload.binds if bind.target == "/data")
    assert (data.source, data.writable) == (ruled.data / "scans", False)
    assert workload.network is Network.NONE


async def test_a_server_that_does_not_say_who_asks_asks_for_nobody(ruled):
    await ruled.start(rules(ruled, users='["alice"]'))
    ruled.server.assign(make_assignment())
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith("Rule users.allowed.")


async def test_no_more_runs_are_taken_than_the_rules_allow(ruled):
    await ruled.start(rules(ruled))
    await ruled.site.agent.connected.wait()
    names = [f"run{number}" for number in range(6)]
    # Also not by claiming that later ones came first.
    ruled.server.assign(*(make_assignment(name, order=-n) for n, name in enumerate(names)))
    ended = (S.RUNNING, S.REFUSED)

    def decided():
        latest = [ruled.server.latest(name) for name in names]
        return all(report is not None and report.state in ended for report in latest)

    await ruled.server.until(decided)
    reports = [ruled.server.latest(name) for name in names]
    refused = [report for report in reports if report.state is S.REFUSED]
    assert len(refused) == 4
    assert all(one.message.startswith("Rule limits.max_concurrent_runs.") for one in refused)
    assert len(ruled.starts) == 2


async def test_a_launch_without_a_prepare_is_judged_and_prepared_first(ruled):
    await ruled.start(rules(ruled, MANUAL))
    ruled.server.assign(make_assignment(desired=Desired.RUNNING))
    await ruled.until_pending()
    assert ruled.starts == {}


async def test_a_specification_that_changes_under_its_id_changes_nothing(ruled):
    await ruled.start(rules(ruled, MANUAL))
    ruled.server.assign(make_assignment(desired=Desired.PREPARED, command=("hold", "run")))
    await ruled.server.until_state(S.PREPARING)
    ruled.server.assign(make_assignment(command=("run",), image_url="trainer:evil"))
    ruled.server.assign(make_assignment(command=("sh",), federated_data="/etc"))
    ruled.server.assign(make_assignment("last", image_url="evil:1"))
    await ruled.server.until_state(S.REFUSED, "last")
    ruled.site.state.let_prepare("run1")
    (shown,) = await ruled.until_pending()
    assert shown["spec"]["image_url"] == "trainer:1"
    await ruled.answer(shown)
    await until(lambda: ruled.starts == {"run1": 1})
    workload = ruled.workloads["run1"]
    assert (workload.image_url, workload.command) == ("trainer:1", ("hold", "run"))


async def test_after_a_yes_another_specification_under_the_same_id_is_not_run(ruled):
    await ruled.start(rules(ruled, MANUAL))
    ruled.server.assign(make_assignment(desired=Desired.PREPARED))
    (shown,) = await ruled.until_pending()
    await ruled.answer(shown)
    await ruled.server.until_state(S.PREPARED)
    evil = make_assignment(image_url="trainer:evil", federated_data="scans")
    ruled.server.assign(evil)
    await ruled.server.until_state(S.RUNNING)
    assert ruled.workloads["run1"].image_url == "trainer:1"
    assert all(bind.target != "/data" for bind in ruled.workloads["run1"].binds)
    # Nor when the agent is new, nor when the first one is over.
    await ruled.site.kill()
    await ruled.start()
    await ruled.server.until(lambda: len(ruled.server.hellos) == 2)
    assert ruled.workloads["run1"].image_url == "trainer:1"
    ruled.server.assign(make_assignment("run1", Desired.STOPPED, Reason.STOPPED_BY_USER))
    await until(lambda: ruled.site.agent.units.party_run_ids == ())
    ruled.server.assign(evil)
    ruled.server.assign(make_assignment("last", Desired.PREPARED))
    await ruled.until_pending()
    assert ruled.starts == {"run1": 1}


async def test_a_yes_for_one_run_is_none_for_the_next(ruled):
    await ruled.start(rules(ruled, MANUAL))
    ruled.server.assign(make_assignment("run1"))
    (first,) = await ruled.until_pending()
    await ruled.answer(first)
    await ruled.server.until_state(S.RUNNING)
    ruled.server.assign(make_assignment("run2"))
    (second,) = await ruled.until_pending()
    assert second["digest"] != first["digest"]
    assert ruled.starts == {"run1": 1}


async def test_fields_that_the_agent_does_not_know_open_nothing(ruled):
    await ruled.start(rules(ruled))
    wire = encode_assignment(make_assignment())
    # As if a newer protocol had a flag "privileged" here: number 999, true.
    unknown = pb.WorkloadSpec.FromString(wire.spec.SerializeToString() + b"\xb8\x3e\x01")
    wire.spec.CopyFrom(unknown)
    ruled.server.assign(make_assignment("fine"))
    await ruled.site.agent.connected.wait()
    ruled.server.say(pb.ServerMessage(assignments=pb.Assignments(assignments=[wire])))
    await ruled.server.until_state(S.RUNNING, "run1")
    await ruled.server.until_state(S.RUNNING, "fine")
    known, other = ruled.workloads["fine"], ruled.workloads["run1"]
    assert (known.resources, known.network, known.user) == (
        other.resources,
        other.network,
        other.user,
    )


async def test_a_rule_that_is_tightened_between_the_phases_refuses_the_launch(ruled):
    await ruled.start(rules(ruled))
    ruled.server.assign(make_assignment(desired=Desired.PREPARED))
    await ruled.server.until_state(S.PREPARED)
    ruled.rule("[images]\nallowed = []\n")
    ruled.server.assign(make_assignment(desired=Desired.RUNNING))
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith("Rule images.allowed.")
    assert ruled.starts == {}


async def test_a_rule_that_is_tightened_later_leaves_what_runs_alone(ruled):
    await ruled.start(rules(ruled))
    ruled.server.assign(make_assignment())
    await ruled.server.until_state(S.RUNNING)
    ruled.rule("[images]\nallowed = []\n")
    ruled.server.assign(make_assignment("next"))
    await ruled.server.until_state(S.REFUSED, "next")
    assert ruled.server.latest("run1").state is S.RUNNING
    assert set(ruled.workloads) == {"run1"}


async def test_data_that_became_a_link_between_the_phases_are_not_run_on(ruled, tmp_path):
    await ruled.start(rules(ruled))
    (ruled.data / "scans" / "day").mkdir()
    (ruled.data / "scans" / "night").mkdir()
    ruled.server.assign(make_assignment(desired=Desired.PREPARED, federated_data="scans/day"))
    await ruled.server.until_state(S.PREPARED)
    (ruled.data / "scans" / "day").rmdir()
    # Inside, so that following it would be allowed; but it is not what was mounted.
    (ruled.data / "scans" / "day").symlink_to(ruled.data / "scans" / "night")
    ruled.server.assign(make_assignment(desired=Desired.RUNNING, federated_data="scans/day"))
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith("Rule data.roots.")
    assert ruled.starts == {}


async def test_an_image_that_is_none_of_the_approved_is_removed_again(ruled):
    digest = "sha256:" + "a" * 64
    await ruled.start(f"[images]\ndigests = ['{digest}']\n")
    ruled.server.assign(make_assignment())
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith("Rule images.digests.")
    await until(lambda: ruled.workloads == {})
    assert ruled.starts == {}


async def test_the_site_s_run_time_ends_a_run_that_asked_for_no_limit(ruled):
    await ruled.start("[limits]\nmax_run_time_s = 1\n")
    ruled.server.assign(make_assignment())
    report = await ruled.server.until_state(S.FAILED)
    assert report.reason is Reason.TIMED_OUT
