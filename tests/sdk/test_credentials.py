"""Which token and CA a client uses, from where; and that a token never goes out in plain text."""

import pytest

from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk
from flow_server_sdk.credentials import Credentials, Sources, choose, credentials, in_environment
from flow_server_sdk.known_servers import (
    Profile,
    find,
    profiles_path,
    read_profiles,
    write_profiles,
)
from tests.security.secure_server import write_certificate

HERE = "127.0.0.1:1235"
THERE = "flow.example.org:1235"


@pytest.fixture
def environment(tmp_path):
    return {"XDG_CONFIG_HOME": str(tmp_path)}


@pytest.fixture
def ca(tmp_path):
    write_certificate(tmp_path, "127.0.0.1")
    return tmp_path / "server.pem"


def keep(environment, address=HERE, **profile):
    write_profiles(profiles_path(environment), {address: Profile(**profile)})


def test_earlier_sources_win_and_token_and_ca_are_chosen_apart():
    given = Sources(ca_file="given.pem")
    said = Sources(token_file="said", ca_file="said.pem")
    kept = Sources(token="kept", ca_file="kept.pem")
    assert choose(given, said, kept) == Sources(token_file="said", ca_file="given.pem")
    assert choose(Sources(token="t", token_file="f")) == Sources(token="t")
    assert choose(given) == Sources(ca_file="given.pem")


def test_an_empty_variable_says_nothing():
    assert in_environment({"FEDFLOW_TOKEN": "", "FEDFLOW_CA": ""}) == Sources()


def test_nothing_known_of_this_machine_is_plain_text_and_of_another_is_tls(environment):
    assert not find(HERE, environment=environment).uses_tls
    assert find(THERE, environment=environment) == Credentials(uses_tls=True)


@pytest.mark.parametrize("address", [HERE, THERE])
def test_a_token_or_a_ca_means_tls(address, environment, ca):
    assert find(address, token="t", environment=environment).uses_tls
    assert find(address, ca=ca, environment=environment).uses_tls


def test_a_token_can_not_be_meant_for_plain_text():
    with pytest.raises(ValueError, match="TLS only"):
        Credentials(token="t")


def test_the_environment_comes_before_what_login_kept_and_after_arguments(environment, tmp_path):
    keep(environment, token="kept")
    assert find(HERE, environment=environment).token == "kept"
    file = tmp_path / "token"
    file.write_text("from-file\n")
    environment["FEDFLOW_TOKEN_FILE"] = str(file)
    assert find(HERE, environment=environment).token == "from-file"
    environment["FEDFLOW_TOKEN"] = "said"
    assert find(HERE, environment=environment).token == "said"
    assert find(HERE, token="given", environment=environment).token == "given"


def test_what_is_kept_for_one_server_is_not_shown_to_another(environment):
    keep(environment, address=THERE, token="kept")
    assert find(HERE, environment=environment).token is None


def test_every_call_carries_the_token():
    how = Credentials(token="t", uses_tls=True)
    assert how.metadata == (("authorization", "Bearer t"),)
    assert Credentials().metadata == ()


@pytest.mark.parametrize(
    "token", ["", "  ", "two words", "líne", "line\nbreak", "null\0", "x" * 70_000]
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token, environment):
    with pytest.raises(ValueError, match="token") as caught:
        credentials(HERE, token=token, ca_pem=None)
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("client", [FlowServerSdk, AsyncFlowServerSdk])
def test_no_repr_shows_a_token(client, environment, monkeypatch, ca):
    sdk = client("127.0.0.1", 1235, token="hunter2", ca=ca)
    shown = [repr(sdk), repr(vars(sdk)), repr(sdk._driver), repr(vars(sdk._driver))]
    shown.append(repr(Profile(token="hunter2")) + repr(Sources(token="hunter2")))
    assert not any("hunter2" in text for text in shown)


def test_the_file_of_known_servers_is_for_its_owner_alone_and_keeps_every_text(environment):
    path = profiles_path(environment)
    profiles = {
        "[::1]:1235": Profile(token='a"b\\c', ca="/päth/with space"),
        HERE: Profile(token_file="/x\ty"),
    }
    write_profiles(path, profiles)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_profiles(path) == profiles
    assert [file.name for file in path.parent.iterdir()] == ["servers.toml"]


def test_tokens_that_others_can_read_are_not_used(environment):
    keep(environment, token="t")
    path = profiles_path(environment)
    path.chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        find(HERE, environment=environment)


@pytest.mark.parametrize(
    "text",
    ["token = hunter2 oops", "servers = 7", '[servers."a:1"]\npassword = "hunter2"', "\xff"],
)
def test_a_file_that_is_none_is_refused_without_repeating_it(environment, text):
    path = profiles_path(environment)
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"servers\.toml") as caught:
        find(HERE, environment=environment)
    assert "hunter2" not in str(caught.value)


def test_a_ca_that_is_missing_or_none_is_refused_at_once(environment, tmp_path):
    with pytest.raises(ValueError, match="can't read"):
        find(HERE, ca=tmp_path / "nowhere.pem", environment=environment)
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(ValueError, match="no certificate in this file"):
        find(HERE, ca=empty, environment=environment)
    with pytest.raises(TypeError):
        find(HERE, ca=7, environment=environment)
    with pytest.raises(TypeError):
        find(HERE, token=7, environment=environment)
