"""The verdict on each request, rule by rule, and what the researcher hears of it."""

import math

import pytest

from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest, Mount, Network, Resources
from party_agent.policy import decide
from party_agent.policy.request import Request, request_of
from party_agent.policy.rules import (
    CommandRules,
    DataRule,
    DataRules,
    ImageRules,
    Limits,
    NetworkMode,
    Rules,
)
from party_agent.policy.site import Site, capped, check
from party_agent.runtime.port import RuntimeRefused
from tests.agent.fakes import make_spec

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
GIB = 2**30


def first_rule(rules, **request):
    finding = decide.first_refusal(
        decide.judge(rules, Request(**{"image_url": "train:1", **request}))
    )
    return None if finding is None else finding.rule


def of_images(**fields):
    return Rules(images=ImageRules(**fields))


def of_limits(**fields):
    return Rules(limits=Limits(**fields))


def asking(**fields):
    return {"resources": Resources(**fields)}


TRAIN = Rules(commands=CommandRules(allowed=(("python", "/app/*.py", "**"), ("sh", "-c", "ls"))))
ONLY_LR = Rules(commands=CommandRules(env=("LR", "TRAIN_*")))
ALICE = Rules(users=("alice", "team-*"))
APPROVED = Rules(templates=("study-*", "t" * 32))
SCANS = Rules(data=DataRules(names={"scans": DataRule(path="/x", users=("alice",))}))

TABLE = [
    # no rule, no refusal
    (Rules(), {}, None),
    (Rules(), {"image_url": "any:thing", "command": ("rm", "-rf", "/")}, None),
    (Rules(), asking(cpus=4096, memory_bytes=2**60), None),
    # images
    (of_images(allowed=("train:*",)), {}, None),
    (of_images(allowed=("train:*",)), {"image_url": "other:1"}, "images.allowed"),
    (of_images(allowed=()), {}, "images.allowed"),
    (of_images(allowed=("*",)), {"image_url": "4bcff63911fc"}, "images.allowed"),
    (of_images(allowed=("*",)), {"image_url": A}, "images.allowed"),
    (of_images(registries=("r.example",)), {"image_url": "r.example/a"}, None),
    (of_images(registries=("r.example",)), {"image_url": "R.EXAMPLE/a"}, None),
    (of_images(registries=("r.example",)), {"image_url": "train"}, "images.registries"),
    (of_images(registries=("r.example",)), {"image_url": "r.example:5000/a"}, "images.registries"),
    (of_images(require_digest=True), {"image_url": f"a@{A}"}, None),
    (of_images(require_digest=True), {"image_url": "a:1"}, "images.require_digest"),
    (of_images(digests=(A,)), {"image_url": f"a@{A}"}, None),
    (of_images(digests=(A,)), {"image_url": f"a@{B}"}, "images.digests"),
    (of_images(digests=(A,)), {"image_url": "a:1"}, None),
    # commands
    (TRAIN, {"command": ("python", "/app/train.py")}, None),
    (TRAIN, {"command": ("python", "/app/train.py", "--lr", "1")}, None),
    (TRAIN, {"command": ("sh", "-c", "ls")}, None),
    (TRAIN, {"command": ("sh", "-c", "ls", "x")}, "commands.allowed"),
    (TRAIN, {"command": ("python",)}, "commands.allowed"),
    (TRAIN, {"command": ("python /app/train.py",)}, "commands.allowed"),
    (TRAIN, {"command": ("python", "-c", "/app/x.py")}, "commands.allowed"),
    (TRAIN, {"command": ()}, "commands.allowed"),
    (Rules(commands=CommandRules(allowed=((),))), {"command": ()}, None),
    (Rules(commands=CommandRules(allowed=(("**",),))), {"command": ("any", "thing")}, None),
    (ONLY_LR, {"env_names": ("LR", "TRAIN_X")}, None),
    (ONLY_LR, {"env_names": ("LR", "LD_PRELOAD")}, "commands.env"),
    # users and templates
    (ALICE, {"requested_by": "alice"}, None),
    (ALICE, {"requested_by": "team-b"}, None),
    (ALICE, {"requested_by": "Alice"}, "users.allowed"),
    (ALICE, {"requested_by": "bob"}, "users.allowed"),
    (ALICE, {}, "users.allowed"),
    (APPROVED, {"template_name": "study-1"}, None),
    (APPROVED, {"template_name": "x", "template_id": "t" * 32}, None),
    (APPROVED, {"template_name": "x"}, "templates.allowed"),
    (APPROVED, {}, "templates.allowed"),
    # data
    (SCANS, {"data_names": ("scans",), "requested_by": "alice"}, None),
    (SCANS, {"data_names": ("scans/2024",), "requested_by": "alice"}, None),
    (SCANS, {"data_names": ("scans",), "requested_by": "bob"}, "data.users"),
    (SCANS, {"data_names": ("scans",)}, "data.users"),
    (SCANS, {"data_names": ("bones",), "requested_by": "alice"}, "data.names"),
    (SCANS, {"data_names": ("/etc",), "requested_by": "alice"}, "data.names"),
    (SCANS, {"data_names": ("scans", "x"), "requested_by": "alice"}, "data.names"),
    (Rules(), {"data_names": ("",)}, "data.names"),
    # limits
    (of_limits(max_cpus=4), asking(cpus=4), None),
    (of_limits(max_cpus=4), asking(cpus=4.5), "limits.max_cpus"),
    (of_limits(max_cpus=4), asking(cpus=math.nan), "limits.max_cpus"),
    (of_limits(max_cpus=4), asking(cpus=math.inf), "limits.max_cpus"),
    (of_limits(max_cpus=4), asking(cpus=-1), "limits.max_cpus"),
    (of_limits(max_cpus=4), {}, None),
    (of_limits(max_memory_bytes=GIB), asking(memory_bytes=GIB), None),
    (of_limits(max_memory_bytes=GIB), asking(memory_bytes=GIB + 1), "limits.max_memory_bytes"),
    (of_limits(max_memory_bytes=GIB), asking(memory_bytes=-1), "limits.max_memory_bytes"),
    (of_limits(max_gpus=1), asking(gpus=GpuRequest(count=1)), None),
    (of_limits(max_gpus=1), asking(gpus=GpuRequest(count=2)), "limits.max_gpus"),
    (of_limits(max_gpus=1), asking(gpus=GpuRequest(device_ids=("0", "1"))), "limits.max_gpus"),
    (of_limits(max_gpus=0), asking(gpus=GpuRequest(count=1)), "limits.max_gpus"),
    (of_limits(max_gpus=0), {}, None),
    (of_limits(max_run_time_s=60), {"run_timeout_s": 60}, None),
    (of_limits(max_run_time_s=60), {"run_timeout_s": 61}, "limits.max_run_time_s"),
    (of_limits(max_run_time_s=60), {}, None),
    # network
    (Rules(), {"network": Network.BRIDGE}, "network.mode"),
    (Rules(network=NetworkMode.COORDINATOR), {"network": Network.BRIDGE}, "network.mode"),
    (Rules(network=NetworkMode.BRIDGE), {"network": Network.BRIDGE}, None),
    (Rules(network=NetworkMode.COORDINATOR), {}, None),
    (Rules(), {"meets": True}, "network.mode"),
    (Rules(network=NetworkMode.COORDINATOR), {"meets": True}, None),
    (Rules(network=NetworkMode.BRIDGE), {"meets": True}, None),
    # the form
    (Rules(), {"malformed": "env: x"}, "request.form"),
]


@pytest.mark.parametrize(("rules", "request_", "rule"), TABLE)
def test_the_first_rule_that_is_broken_is_the_verdict(rules, request_, rule):
    assert first_rule(rules, **request_) == rule


def test_a_request_for_another_party_is_refused():
    request = Request(image_url="a", federated_id="bank")
    findings = decide.judge(Rules(), request, party_id="hospital")
    assert decide.first_refusal(findings).rule == "request.party"
    assert decide.first_refusal(decide.judge(Rules(), request, party_id="bank")) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"resources": Resources(cpus=0.0)},
        {"resources": Resources(cpus=-1)},
        {"resources": Resources(cpus=math.nan)},
        {"resources": Resources(memory_bytes=0)},
        {"resources": Resources(memory_bytes=-1)},
        {"resources": Resources(pids=0)},
        {"resources": Resources(pids=-1)},
        {"resources": Resources(shm_bytes=-5)},
        {"resources": Resources(gpus=GpuRequest(count=-1))},
        {"mounts": (Mount(data_name="scans", target="/data"),)},
        {"mounts": (Mount(data_name="scans", target="/proc/sys"),)},
        {"mounts": (Mount(data_name="scans", target="/a/../../etc"),)},
        {"mounts": (Mount(data_name="scans", target="etc"),)},
        {"env": {"FEDFLOW_PARTY_ID": "bank"}},
        {"env": {"A=B": "1"}},
        {"env": {"A\x00": "1"}},
        {"command": ("a\x00b",)},
        {"workdir": "/a\x00"},
        {"stop_grace_s": 10**9},
        {"stop_grace_s": -1},
        {"run_timeout_s": 0},
        {"image_url": ""},
    ],
)
def test_what_no_template_could_hold_is_refused_whoever_sends_it(fields):
    # To an engine, zero or a negative number means "no limit".
    with pytest.raises(RuntimeRefused) as refusal:
        check(Site(), make_spec(**fields))
    assert refusal.value.message.startswith("Rule request.form.")


def test_the_researcher_hears_the_rule_s_name_and_nothing_of_what_would_be_allowed():
    rules = Rules(images=ImageRules(allowed=("r.example/secret-study:*",)))
    with pytest.raises(RuntimeRefused) as refusal:
        check(Site(rules=rules), make_spec(image_url="other:1"))
    assert refusal.value.reason is Reason.POLICY_DENIED
    assert refusal.value.message == (
        "Rule images.allowed. The site's policy does not allow this; ask the site to change the"
        " rule, or leave out what it forbids."
    )


def test_who_asks_for_no_limit_gets_the_site_s():
    rules = of_limits(max_cpus=4, max_memory_bytes=GIB)
    spec = capped(Site(rules=rules), make_spec())
    assert spec.resources == Resources(cpus=4, memory_bytes=GIB)
    less = make_spec(resources=Resources(cpus=1, memory_bytes=GIB // 2))
    assert capped(Site(rules=rules), less) == less
    assert capped(Site(), make_spec()) == make_spec()


def test_nobody_gets_more_cores_than_the_machine_has():
    site = Site(rules=of_limits(max_cpus=64), cpus=2)
    assert capped(site, make_spec()).resources.cpus == 2


@pytest.mark.parametrize(
    ("resources", "rule"),
    [
        (Resources(cpus=4.5), "resources.cpus"),
        (Resources(memory_bytes=9), "resources.memory_bytes"),
    ],
)
def test_more_than_the_machine_has_is_refused(resources, rule):
    if resources.memory_bytes:
        resources = Resources(memory_bytes=9 * GIB)
    with pytest.raises(RuntimeRefused) as refusal:
        check(Site(cpus=4, memory_bytes=8 * GIB), make_spec(resources=resources))
    assert refusal.value.reason is Reason.RESOURCES_UNAVAILABLE
    assert rule in refusal.value.message
    check(Site(), make_spec(resources=resources))


def test_all_that_the_machine_has_may_be_used():
    resources = Resources(cpus=4, memory_bytes=8 * GIB)
    check(Site(cpus=4, memory_bytes=8 * GIB), make_spec(resources=resources))


def test_the_request_is_what_the_assignment_says():
    spec = make_spec(
        federated_data="scans",
        mounts=(Mount(data_name="labs", target="/labs"),),
        env={"LR": "1"},
        run_timeout_s=60,
    )
    request = request_of(spec)
    assert request.data_names == ("scans", "labs")
    assert (request.image_url, request.command) == ("trainer:1", ("run",))
    assert (request.env_names, request.run_timeout_s) == (("LR",), 60)
    assert (request.requested_by, request.federated_id) == (None, "hospital-a")
