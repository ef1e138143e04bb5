"""What lies in an output directory is opened only if it is what was seen, and leads nowhere."""

import os
import socket

import pytest

from party_agent.outputs_out.skips import Skips
from party_agent.outputs_out.tree import Changed, Tree

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes others' files")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "output"
    root.mkdir()
    return root


def scan(root, most_files=1000):
    skips = Skips()
    found = Tree(root).scan(skips, most_files=most_files)
    return {one.name: one for one in found}, {one.name: one.why for one in skips.told()}


def content(root, found):
    with Tree(root).open(found) as opened:
        return os.read(opened, 1000)


def test_regular_files_are_found_at_any_depth(root):
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").write_text("1")
    (root / "empty").touch()
    found, skipped = scan(root)
    assert (set(found), skipped) == ({"a/b/c", "empty"}, {})
    assert content(root, found["a/b/c"]) == b"1"


def test_what_is_no_file_is_named_and_left(root, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (root / "file-link").symlink_to(tmp_path / "secret")
    (root / "folder-link").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    place = os.open(root, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{place}/socket")
    os.close(place)
    found, skipped = scan(root)
    assert found == {}
    assert set(skipped) == {"file-link", "folder-link", "fifo", "socket"}


@needs_root
def test_a_device_and_a_hard_link_to_another_s_file_are_left(root, tmp_path):
    os.mknod(root / "null", 0o600 | 0o020000, os.makedev(1, 3))
    (tmp_path / "secret").write_text("of root")
    os.link(tmp_path / "secret", root / "linked")
    (root / "own").write_text("1")
    os.link(root / "own", root / "twin")
    for path in (root, root / "own"):
        os.chown(path, 65532, 65532)
    found, skipped = scan(root)
    assert set(found) == {"own", "twin"}
    assert "device" in skipped["null"]
    assert "hard link" in skipped["linked"]


def test_a_name_that_can_t_be_one_is_told_in_letters(root):
    for name in (b"bad\xff", b"new\nline", b"\x1b[31m"):
        os.close(os.open(os.fsencode(root) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    found, skipped = scan(root)
    assert found == {}
    assert set(skipped) == {"bad\\udcff", "new\\nline", "\\x1b[31m"}


def test_a_folder_without_an_end_is_left(root):
    path = root
    for _ in range(110):
        path = path / "d"
        path.mkdir()
    (path / "file").write_text("1")
    found, skipped = scan(root)
    assert found == {}
    assert "100 folders deep" in next(iter(skipped.values()))


def test_more_files_than_anybody_wants_are_counted_and_not_remembered(root):
    for number in range(3000):
        (root / str(number)).touch()
    skips = Skips()
    found = Tree(root).scan(skips, most_files=10)
    assert (len(found), skips.count, len(skips.told())) == (10, 2990, 100)


def swap_for_link(path, target):
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("kind", ["link", "other", "grown", "gone", "fifo"])
def test_what_took_a_file_s_place_is_not_read(root, tmp_path, kind):
    (tmp_path / "secret").write_text("secret")
    path = root / "file"
    path.write_text("first")
    (found,) = scan(root)[0].values()
    if kind == "link":
        swap_for_link(path, tmp_path / "secret")
    elif kind == "grown":
        path.write_text("longer than before")
    else:
        path.unlink()
        if kind == "other":
            path.write_text("other")
        elif kind == "fifo":
            os.mkfifo(path)
    with pytest.raises(Changed):
        content(root, found)


def test_a_link_in_place_of_a_folder_is_not_followed(root, tmp_path):
    (root / "a").mkdir()
    (root / "a" / "shadow").write_text("mine")
    (found,) = scan(root)[0].values()
    (root / "a").rename(tmp_path / "moved")
    (root / "a").symlink_to(tmp_path / "moved")
    with pytest.raises(Changed):
        content(root, found)


def test_a_changed_file_is_another_upload(root):
    (root / "file").write_text("one")
    first = scan(root)[0]["file"].file
    assert scan(root)[0]["file"].file == first
    (root / "file").write_text("two")
    os.utime(root / "file", ns=(1, 1))
    assert scan(root)[0]["file"].file.upload_id != first.upload_id


def test_a_directory_that_is_not_there_holds_nothing(tmp_path):
    assert scan(tmp_path / "nowhere") == ({}, {})
