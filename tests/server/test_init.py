"""`fedflow server init`, and what the server says of certificates and settings at its start."""

import pytest
from click.testing import CliRunner

from flow_contract.errors import InvalidArgument
from flow_server.app import FlowServer
from flow_server.pki.files import pki_in
from flow_server.pki.identities import server_names
from flow_server.settings import ServerSettings
from flow_server_sdk.cli import main


def init(state_dir, *arguments):
    return CliRunner().invoke(main, ["server", "init", "--state-dir", str(state_dir), *arguments])


def names_in(state_dir):
    return server_names(pki_in(state_dir).server_certificate.read_bytes())


def test_init_makes_all_that_is_needed_and_says_so_in_eight_lines_at_most(tmp_path):
    result = init(tmp_path, "--name", "fed.example", "--name", "10.0.0.1")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) <= 8
    assert f"fedflow server --state-dir {tmp_path}" in result.output
    made = {path.name for path in pki_in(tmp_path).path.iterdir()}
    assert made == {
        *("ca.pem", "ca.key", "server.pem", "server.key"),
        *("admin.token", "bootstrap.json"),
    }
    assert {"fed.example", "10.0.0.1", "localhost", "127.0.0.1", "::1"} <= set(names_in(tmp_path))


def test_init_shows_no_secret(tmp_path):
    output = init(tmp_path).output
    assert pki_in(tmp_path).admin_token.read_text().strip() not in output
    assert "PRIVATE" not in output


def test_a_second_init_ends_with_1_and_changes_nothing(tmp_path):
    init(tmp_path)
    before = pki_in(tmp_path).ca_key.read_bytes()
    result = init(tmp_path)
    assert result.exit_code == 1
    assert "left as it is" in result.output
    assert pki_in(tmp_path).ca_key.read_bytes() == before


def test_renew_keeps_the_ca_and_the_names_and_may_add_some(tmp_path):
    init(tmp_path, "--name", "fed.example")
    pki = pki_in(tmp_path)
    ca, server = pki.ca_certificate.read_bytes(), pki.server_certificate.read_bytes()
    assert init(tmp_path, "--renew", "--name", "new.example").exit_code == 0
    assert pki.ca_certificate.read_bytes() == ca
    assert pki.server_certificate.read_bytes() != server
    assert {"fed.example", "new.example", "localhost"} <= set(names_in(tmp_path))


def test_renew_needs_the_signing_key(tmp_path):
    init(tmp_path)
    pki_in(tmp_path).ca_key.unlink()
    result = init(tmp_path, "--renew")
    assert result.exit_code == 1
    assert "ca.key" in result.output


def test_a_bad_name_is_named_and_nothing_is_made(tmp_path):
    result = init(tmp_path, "--name", "https://fed.example")
    assert result.exit_code == 1
    assert "--name: 'https://fed.example'" in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_directory_may_stand_before_the_word_init(tmp_path):
    result = CliRunner().invoke(main, ["server", "--state-dir", str(tmp_path), "init"])
    assert result.exit_code == 0
    assert pki_in(tmp_path).ca_key.exists()


async def test_a_server_without_certificates_says_how_to_make_them(tmp_path):
    server = FlowServer(ServerSettings(port=0, agents_port=0, http_port=0, state_dir=tmp_path))
    with pytest.raises(InvalidArgument, match=f"fedflow server init --state-dir {tmp_path}"):
        await server.start()


@pytest.mark.parametrize("name", ["ca.key", "server.key"])
async def test_a_server_does_not_start_with_a_key_that_others_can_read(tmp_path, name):
    init(tmp_path)
    (pki_in(tmp_path).path / name).chmod(0o644)
    server = FlowServer(ServerSettings(port=0, agents_port=0, http_port=0, state_dir=tmp_path))
    with pytest.raises(InvalidArgument, match=f"chmod 600 .*{name}"):
        await server.start()


async def test_an_own_ca_that_is_no_certificate_is_named(tmp_path):
    init(tmp_path)
    pki = pki_in(tmp_path)
    settings = ServerSettings(
        port=0,
        agents_port=0,
        http_port=0,
        state_dir=tmp_path,
        tls_cert=pki.server_certificate,
        tls_key=pki.server_key,
        tls_ca=pki.server_key,
    )
    with pytest.raises(InvalidArgument, match="--tls-ca"):
        await FlowServer(settings).start()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "localhost"])
def test_insecure_serves_loopback(host):
    assert ServerSettings(insecure=True, host=host).insecure


@pytest.mark.parametrize("host", ["::", "10.0.0.1", "fed.example", "localhost.example", ""])
def test_insecure_serves_nothing_but_loopback(host):
    with pytest.raises(ValueError, match="it serves this machine alone"):
        ServerSettings(insecure=True, host=host)
