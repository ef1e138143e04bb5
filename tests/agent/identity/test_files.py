"""The identity on disk: whole or not at all, and nobody else's to read."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from party_agent.identity import files
from party_agent.identity.files import IdentityMissing, IdentityUnusable
from party_agent.identity.keys import check_certificate, make_key
from tests.agent.identity.made import NOW, Ca

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def ca():
    return Ca(at=NOW)


@pytest.fixture
def identity(ca):
    return ca.identity()


def test_what_was_written_is_read_again_and_closed_to_others(tmp_path, identity):
    old = os.umask(0)
    try:
        files.write(tmp_path, identity)
    finally:
        os.umask(old)
    assert files.read(tmp_path) == identity
    folder = tmp_path / "identity"
    assert (folder.stat().st_mode & 0o777, folder.joinpath("current").is_symlink()) == (0o700, True)
    key = folder / "current" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in key.parent.iterdir()) == [
        "ca.pem", "certificate.pem", "key.pem", "server.json",
    ]  # fmt: skip


def test_no_key_shows_in_a_repr(identity):
    assert "PRIVATE" not in repr(identity)
    assert "BEGIN" not in repr(identity)


def test_none_is_said_with_how_to_get_one(tmp_path):
    assert not files.exists(tmp_path)
    with pytest.raises(IdentityMissing, match="fedflow agent enrol"):
        files.read(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o602])
def test_a_key_that_others_may_read_or_write_is_not_used(tmp_path, identity, mode):
    files.write(tmp_path, identity)
    (tmp_path / "identity/current/key.pem").chmod(mode)
    with pytest.raises(IdentityUnusable, match="can be read by others"):
        files.read(tmp_path)


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "ca.pem", "server.json"])
def test_an_identity_with_a_part_missing_is_said_to_be(tmp_path, identity, name):
    files.write(tmp_path, identity)
    (tmp_path / "identity/current" / name).unlink()
    with pytest.raises(IdentityUnusable, match="incomplete"):
        files.read(tmp_path)


@pytest.mark.parametrize("name", ["certificate.pem", "server.json"])
def test_a_damaged_identity_is_said_to_be(tmp_path, identity, name):
    files.write(tmp_path, identity)
    (tmp_path / "identity/current" / name).write_text("{}")
    with pytest.raises(IdentityUnusable, match="damaged"):
        files.read(tmp_path)


def test_a_certificate_of_another_party_than_the_file_says_is_damage(tmp_path, ca, identity):
    files.write(tmp_path, replace(identity, certificate_pem=ca.identity("b").certificate_pem))
    with pytest.raises(IdentityUnusable, match="damaged"):
        files.read(tmp_path)


def test_a_new_identity_takes_the_old_one_s_place_and_leaves_nothing_of_it(tmp_path, ca, identity):
    files.write(tmp_path, identity)
    newer = ca.identity("hospital-a")
    files.write(tmp_path, newer)
    assert files.read(tmp_path) == newer
    assert len(list((tmp_path / "identity").iterdir())) == 2


def test_the_key_that_was_asked_with_is_asked_with_again(tmp_path):
    first, second = make_key(), make_key()
    assert files.pending_key(tmp_path, "x", first) == first
    assert files.pending_key(tmp_path, "x", second) == first
    assert files.pending_key(tmp_path, "y", second) == second
    files.drop_pending(tmp_path, "x")
    files.drop_pending(tmp_path, "x")
    assert files.pending_key(tmp_path, "x", second) == second


def test_a_pending_key_that_others_may_read_is_not_used(tmp_path):
    files.pending_key(tmp_path, "x", make_key())
    (tmp_path / "pending-x.pem").chmod(0o644)
    with pytest.raises(IdentityUnusable, match="can be read by others"):
        files.pending_key(tmp_path, "x", make_key())


KILLED = """
import os, sys
from pathlib import Path
from party_agent.identity import files
from tests.agent.identity.made import NOW, Ca

place, after = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def counted(event, arguments):
    # Each of these changes what is on the disk.
    global calls
    if event in ("open", "os.mkdir", "os.symlink", "os.rename", "os.remove", "os.rmdir"):
        if str(arguments[0]).startswith(str(place)):
            calls += 1
            if calls > after:
                os._exit(9)

ca = Ca(at=NOW)
identity = ca.identity()
sys.addaudithook(counted)
files.write(place, identity)
os._exit(0)
"""


def test_a_death_at_any_moment_of_a_swap_leaves_a_pair_that_fits(tmp_path, identity):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'sdk'}:{ROOT}"}
    codes = []
    while not codes or codes[-1] != 0:
        files.write(tmp_path, identity)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(len(codes))],
            env=environment,
            check=False,
        )
        codes.append(done.returncode)
        found = files.read(tmp_path)
        check_certificate(
            found.certificate_pem, key_pem=found.key_pem, ca_pem=found.ca_pem, now=NOW
        )
        assert (found == identity) == (found.ca_pem == identity.ca_pem)
    # It died at every step before it lived.
    assert set(codes[:-1]) == {9}
    assert len(codes) > 10
    # What the deaths left behind is swept by the next swap.
    files.write(tmp_path, identity)
    assert len(list((tmp_path / "identity").iterdir())) == 2
