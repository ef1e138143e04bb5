"""`fedflow agent enrol` and an agent's start, as far as no server is needed."""

import ssl

import pytest
from click.testing import CliRunner

from flow_contract.secrets import write_enrolment
from party_agent.cli import agent
from party_agent.identity import files
from tests.agent.identity.made import Ca, enrolment_token


def run(*arguments, **options):
    return CliRunner().invoke(agent, [str(each) for each in arguments], **options)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".local/state/fedflow/agents"


@pytest.fixture(scope="module")
def ca():
    return Ca()


def test_a_token_as_an_argument_is_refused_and_not_repeated(home):
    ended = run("enrol", "--server", "h:1", "--token", "ffe.abc.secret")
    assert ended.exit_code == 2
    assert "can be seen by everybody" in ended.output
    assert "secret" not in ended.output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "give the token with --token -"),
        (["--token", "-", "--token-file", "x"], "give the token with --token -"),
        (["--token-file", "/no/such"], "/no/such"),
    ],
)
def test_where_the_token_comes_from_must_be_said_once(home, given, words):
    ended = run("enrol", "--server", "h:1", *given)
    assert (ended.exit_code, words in ended.output) == (2, True)


@pytest.mark.parametrize("text", ["", "hello", "ffe.1.2", "ff.0123456789ab." + "a" * 43])
def test_what_is_no_token_is_said_and_not_repeated(home, text):
    ended = run("enrol", "--server", "h:1", "--token", "-", input=text)
    assert (ended.exit_code, "not an enrolment token" in ended.output) == (1, True)
    assert not text or text not in ended.output


def test_a_cut_token_is_said_to_be(home):
    secret = write_enrolment(enrolment_token(b"no certificate"), b"no certificate")
    ended = run("enrol", "--server", "127.0.0.1:1", "--token", "-", input=secret)
    assert (ended.exit_code, "cut or changed" in ended.output) == (1, True)


def test_a_server_that_is_no_address_is_said_before_anything_is_read(home):
    ended = run("enrol", "--server", "host", "--token", "-", input="x")
    assert (ended.exit_code, "'host' is not HOST:PORT" in ended.output) == (2, True)


def test_who_is_enrolled_is_not_enrolled_again_by_accident(tmp_path, ca):
    files.write(tmp_path, ca.identity())
    text = write_enrolment(enrolment_token(b"x"), ssl.PEM_cert_to_DER_cert(ca.pem.decode()))
    ended = run(
        "enrol", "--server", "127.0.0.1:1", "--token", "-", "--state-dir", tmp_path, input=text
    )
    assert (ended.exit_code, "add --again" in ended.output) == (1, True)


def test_an_agent_without_an_identity_says_how_to_get_one(home, tmp_path):
    for given in ([], ["--party", "a"], ["--state-dir", tmp_path], ["--server", "127.0.0.1:1"]):
        ended = run(*given)
        assert ended.exit_code == 1
        assert "fedflow agent enrol --server HOST:PORT --token -" in ended.output
        assert "--insecure" in ended.output


def test_of_several_identities_one_must_be_named(home, ca):
    for party in ("a", "b"):
        files.write(home / party, ca.identity(party))
    ended = run()
    assert (ended.exit_code, "name one with --party: a, b" in ended.output) == (1, True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--party", "b"], "is for party 'a', not for 'b'"),
        (["--server", "elsewhere:1"], "enrolled at 127.0.0.1:1, not at elsewhere:1"),
        (["--party", "../a"], "can't name a party"),
    ],
)
def test_what_is_given_must_be_what_the_identity_says(tmp_path, ca, given, words):
    files.write(tmp_path, ca.identity("a"))
    ended = run("--state-dir", tmp_path, *given)
    assert (ended.exit_code, words in ended.output) == (1, True), ended.output


@pytest.mark.parametrize("server", ["10.0.0.1:1", "flow.example.org:1235", "[::2]:5"])
def test_plain_text_goes_no_further_than_this_machine(server):
    ended = run("--insecure", "--server", server, "--party", "a")
    assert (ended.exit_code, "loopback" in ended.output) == (2, True)
