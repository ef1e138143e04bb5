"""The pure rules on who a container is and what its site lets it be."""

# ruff: noqa: S108, FBT001, RUF001 - paths and accounts of containers, and odd digits

from pathlib import Path
from typing import Any

import pytest

from flow_contract.reasons import Reason
from party_agent.runtime.confinement import Confinement, RootMode, container_user
from party_agent.runtime.docker_engine import accounts, cage, facts
from party_agent.runtime.docker_engine.accounts import Account
from party_agent.runtime.docker_engine.cage import Cage
from party_agent.runtime.docker_engine.facts import EngineFacts
from party_agent.runtime.port import Bind, RuntimeRefused
from tests.runtime.docker_support import make_workload

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:\ntoor:x:0:0::/:\n7:x:0:0::/:\n"
GROUP = "root:x:0:\nstaff:x:50:app\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("app", (1000, 1001, True)),
        ("1000", (1000, 1001, True)),
        ("app:staff", (1000, 50, True)),
        ("app:7", (1000, 7, True)),
        ("1234", (1234, 1234, False)),
        ("1234:99", (1234, 99, False)),
        ("toor", (0, 0, True)),
        ("00", (0, 0, True)),
        ("7", (7, 7, False)),
        ("nobody", None),
        ("app:nosuch", None),
        ("app:", None),
        ("٠", None),
        ("99999999999", None),
        ("-1", None),
    ],
)
def test_a_user_is_who_the_image_says(user: str, expected: tuple[int, int, bool] | None) -> None:
    found = accounts.resolve(user, PASSWD, GROUP)
    wanted = expected and Account(uid=expected[0], gid=expected[1], has_home=expected[2])
    assert found == wanted


@pytest.mark.parametrize("passwd", ["", "\0\0\0", "root", ":::::\n::", "app:x:1000"])
def test_an_image_without_usable_accounts_knows_numbers_only(passwd: str) -> None:
    assert accounts.resolve("app", passwd, "") is None
    assert accounts.resolve("5", passwd, "") == Account(uid=5, gid=5, has_home=False)


REMAPPED = EngineFacts(has_user_namespace=True, first_ids=(100_000, 200_000))


def decided(
    *,
    user: str = "",
    image_user: str = "",
    site: Confinement | None = None,
    engine: EngineFacts | None = None,
    labels: dict[str, str] | None = None,
    image_env: tuple[str, ...] = (),
    **made: Any,
) -> Cage:
    image = {"Config": {"User": image_user, "Labels": labels, "Env": list(image_env)}}
    return cage.decide(
        make_workload(user=user, **made),
        image,
        passwd=PASSWD,
        group=GROUP,
        site=site or Confinement(),
        engine=engine or EngineFacts(),
    )


@pytest.mark.parametrize("image_user", ["", "0", "root", "root:root", "0:0", "toor", "00:5"])
def test_an_image_that_wants_root_gets_nobody(image_user: str) -> None:
    assert decided(image_user=image_user).user == "65532:65532"
    assert decided(image_user=image_user, site=Confinement(allow_root=True)).user == "65532:65532"


def test_the_site_names_who_takes_the_place_of_root() -> None:
    site = Confinement(user=(1500, 1600), groups=(44,))
    granted = decided(site=site)
    assert (granted.user, granted.groups, granted.owner) == ("1500:1600", ("44",), (1500, 1600))


@pytest.mark.parametrize(
    ("user", "image_user", "expected"),
    [("", "app", "1000:1001"), ("app", "", "1000:1001"), ("55:66", "app", "55:66")],
)
def test_a_user_that_is_not_root_stays(user: str, image_user: str, expected: str) -> None:
    assert decided(user=user, image_user=image_user).user == expected


@pytest.mark.parametrize("user", ["0", "root", "00", "0:1000", "toor", "root:staff"])
def test_a_template_may_not_ask_for_root(user: str) -> None:
    with pytest.raises(RuntimeRefused) as refusal:
        decided(user=user)
    assert refusal.value.reason is Reason.POLICY_DENIED
    assert cage.RULE_USER in refusal.value.message


def test_a_template_may_ask_for_root_where_the_site_allows_it() -> None:
    granted = decided(user="root", site=Confinement(allow_root=True))
    assert (granted.user, granted.owner) == ("0:0", (0, 0))


def test_root_inside_a_user_namespace_is_nobody_outside() -> None:
    for user, image_user in (("", ""), ("root", ""), ("", "root")):
        granted = decided(user=user, image_user=image_user, engine=REMAPPED)
        assert (granted.user, granted.owner) == ("0:0", (100_000, 200_000))
    assert decided(user="app", engine=REMAPPED).owner == (101_000, 201_001)


def test_a_forced_user_has_a_home_that_it_can_write() -> None:
    assert decided().home == "/tmp"
    assert decided(user="4321").home == "/tmp"
    assert decided(image_user="app").home == ""
    assert decided(image_env=("HOME=/srv",)).home == ""
    assert decided(env={"HOME": "/output"}).home == ""


@pytest.mark.parametrize(
    ("mode", "label", "expected"),
    [
        (RootMode.AUTO, None, True),
        (RootMode.AUTO, "true", False),
        (RootMode.AUTO, "false", True),
        (RootMode.ALWAYS_READ_ONLY, "true", True),
        (RootMode.WRITABLE, None, False),
    ],
)
def test_an_image_is_read_only_unless_its_label_and_the_site_agree(
    mode: RootMode, label: str | None, expected: bool
) -> None:
    labels = {} if label is None else {cage.LABEL_WRITABLE_ROOT: label}
    assert decided(labels=labels, site=Confinement(root_mode=mode)).read_only_root is expected


def test_processes_are_bounded_by_the_site_and_a_template_may_ask_for_fewer() -> None:
    site = Confinement(max_pids=100)
    assert decided(site=site).pids == 100
    assert decided(site=site, pids=5).pids == 5
    with pytest.raises(RuntimeRefused) as refusal:
        decided(site=site, pids=101)
    assert refusal.value.reason is Reason.RESOURCES_UNAVAILABLE


@pytest.mark.parametrize(
    "source", ["/", "/run", "/run/docker.sock", "/var/lib", "/var/lib/docker/overlay2", "/state/x"]
)
def test_data_never_hold_the_engine_s_or_the_agent_s_own_files(source: str) -> None:
    site = Confinement(off_limits=(Path("/run/docker.sock"), Path("/state")))
    bind = Bind(source=Path(source), target="/data")
    with pytest.raises(RuntimeRefused) as refusal:
        decided(site=site, binds=(bind,))
    assert refusal.value.reason is Reason.POLICY_DENIED
    assert cage.RULE_OFF_LIMITS in refusal.value.message
    assert "docker.sock" not in refusal.value.message


def test_data_beside_them_are_fine() -> None:
    site = Confinement(off_limits=(Path("/run/docker.sock"), Path("/state")))
    binds = (
        Bind(source=Path("/run/docker.sock.d"), target="/data"),
        Bind(source=Path("/state/outputs/1"), target="/output", writable=True),
    )
    assert decided(site=site, binds=binds).user == "65532:65532"


def test_an_agent_that_is_not_root_runs_containers_as_itself() -> None:
    assert container_user((0, 0)) == (65_532, 65_532)
    assert container_user((1000, 100)) == (1000, 100)


# --- what the engine says


@pytest.mark.parametrize(
    ("options", "folder", "expected"),
    [
        (["name=seccomp,profile=default"], "/var/lib/docker", (False, (0, 0), True)),
        (["name=seccomp,profile=builtin"], "/var/lib/docker", (False, (0, 0), True)),
        (["name=seccomp,profile=unconfined"], "/var/lib/docker", (False, (0, 0), False)),
        (["name=apparmor"], "/var/lib/docker", (False, (0, 0), False)),
        (
            ["name=seccomp,profile=default", "name=userns"],
            "/var/lib/docker/100000.200000",
            (True, (100_000, 200_000), True),
        ),
        (
            ["name=seccomp,profile=default", "name=rootless"],
            "/srv/someone/docker",
            (True, None, True),
        ),
    ],
)
def test_the_engine_s_protections_are_read(
    options: list[str], folder: str, expected: tuple[bool, tuple[int, int] | None, bool]
) -> None:
    found = facts.of_engine({"SecurityOptions": options, "DockerRootDir": folder})
    assert (found.has_user_namespace, found.first_ids, found.has_seccomp) == expected
    assert found.folder == Path(folder)
