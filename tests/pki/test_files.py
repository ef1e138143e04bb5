"""The pki directory: modes, nothing overwritten, damage named."""

import os
import stat

import pytest

from flow_contract.errors import AlreadyExists, InvalidArgument
from flow_contract.secrets import read_api_token
from flow_server.pki.files import (
    pki_in,
    read_authority,
    read_ca,
    read_private,
    replace_server_certificate,
)
from flow_server.pki.reload import ServerCertificate
from tests.certificates import authority_of, make_pki, now


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def content(pki):
    return {path.name: path.read_bytes() for path in pki.path.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_secrets_are_closed_to_others_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        pki = make_pki(tmp_path / "state")
    finally:
        os.umask(before)
    assert mode(pki.path) & 0o077 == 0
    for path in (pki.ca_key, pki.server_key, pki.admin_token, pki.bootstrap):
        assert mode(path) == 0o600
    for path in (pki.ca_certificate, pki.server_certificate):
        assert mode(path) == 0o644


def test_nothing_is_ever_overwritten(tmp_path):
    pki = make_pki(tmp_path)
    before = content(pki)
    with pytest.raises(AlreadyExists, match="left as it is"):
        make_pki(tmp_path)
    assert content(pki) == before
    assert [path.name for path in tmp_path.iterdir()] == ["pki"]


def test_a_directory_that_somebody_began_by_hand_is_left_alone(tmp_path):
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "mine").touch()
    with pytest.raises(AlreadyExists):
        make_pki(tmp_path)
    assert [path.name for path in (tmp_path / "pki").iterdir()] == ["mine"]


def test_a_place_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match=r"can't write .*file/pki"):
        make_pki(tmp_path / "file")


def test_the_token_in_clear_belongs_to_the_hash_beside_it(tmp_path):
    pki = make_pki(tmp_path)
    token = read_api_token(pki.admin_token.read_text())
    bootstrap = pki.bootstrap.read_text()
    assert token.digest in bootstrap
    assert token.secret not in bootstrap


def test_who_has_no_certificates_is_told_how_to_make_them(tmp_path):
    with pytest.raises(InvalidArgument, match=f"fedflow server init --state-dir {tmp_path}"):
        read_ca(pki_in(tmp_path))


def test_a_directory_without_the_signing_key_can_not_sign(tmp_path):
    pki = make_pki(tmp_path)
    pki.ca_key.unlink()
    assert read_authority(pki) is None


@pytest.mark.parametrize("bits", [0o604, 0o644, 0o666, 0o620])
def test_a_key_that_is_open_to_others_is_refused_and_named(tmp_path, bits):
    pki = make_pki(tmp_path)
    pki.ca_key.chmod(bits)
    with pytest.raises(InvalidArgument, match=f"chmod 600 {pki.ca_key}"):
        read_authority(pki)


def test_a_key_that_a_group_may_read_is_the_operator_s_choice(tmp_path):
    pki = make_pki(tmp_path)
    pki.server_key.chmod(0o640)
    assert read_private(pki.server_key)


def test_a_new_pair_is_taken_over_when_it_is_whole(tmp_path):
    pki = make_pki(tmp_path)
    certificate = ServerCertificate(pki.server_certificate, pki.server_key)
    first = certificate.present
    certificate.look_again()
    assert certificate.present is first
    fresh = authority_of(pki).sign_server(["localhost"], now=now())
    replace_server_certificate(pki, fresh)
    certificate.look_again()
    assert certificate.present.certificate_pem == fresh.certificate_pem
    assert mode(pki.server_key) == 0o600


def break_key(pki):
    pki.server_key.write_text("no key")


def open_key(pki):
    pki.server_key.chmod(0o644)
    pki.server_key.write_bytes(pki.server_key.read_bytes() + b"\n")


def remove_certificate(pki):
    pki.server_certificate.unlink()


def another_s_certificate(pki):
    other = authority_of(pki).sign_server(["localhost"], now=now())
    pki.server_certificate.write_bytes(other.certificate_pem)


@pytest.mark.parametrize("harm", [break_key, open_key, remove_certificate, another_s_certificate])
def test_a_pair_that_is_none_is_not_taken_over_and_no_server_begins_with_it(tmp_path, harm):
    pki = make_pki(tmp_path)
    certificate = ServerCertificate(pki.server_certificate, pki.server_key)
    first = certificate.present
    harm(pki)
    certificate.look_again()
    assert certificate.present is first
    with pytest.raises(InvalidArgument):
        ServerCertificate(pki.server_certificate, pki.server_key)
