"""`fedflow task outputs` and `task download`, and what a watch shows of outputs: real processes."""

import hashlib
import json

import pytest

from tests.cli.pages import documented
from tests.cli.terminal import Terminal
from tests.e2e.processes.children import run, until
from tests.e2e.processes.federation import PARTIES

pytestmark = pytest.mark.postgres

ONE, TWO = PARTIES[:2]
LEAVES = """
cd "$FEDFLOW_OUTPUT_DIR"
mkdir sub && echo "of $FEDFLOW_PARTY_ID" > sub/model.txt
: > none
printf x > "$(printf 'sp ace')"
ln -s /etc/shadow shadow
"""


@pytest.fixture
def made(fedflow, write):
    """A task of two parties whose outputs are there, and whose run was waited for."""
    file = write(LEAVES, parties=PARTIES[:2])
    done = fedflow("task", "start", file, "--wait", "--wait-outputs")
    assert done.returncode == 0, done.stderr
    return f"{file.stem}-task"


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WANTED = {
    f"{party}/{name}": text
    for party in (ONE, TWO)
    for name, text in {
        "none": b"",
        "sp ace": b"x",
        "sub/model.txt": f"of {party}\n".encode(),
    }.items()
}


def test_files_are_listed_with_what_stayed_and_why(fedflow, made):
    shown = fedflow("task", "outputs", made)
    assert shown.returncode == 0, shown.stderr
    sha256 = hashlib.sha256(f"of {ONE}\n".encode()).hexdigest()
    assert f"{ONE}  sub/model.txt  14     {sha256[:12]}" in shown.stdout
    assert f"{ONE}  complete  3      15 B  skipped shadow: " in shown.stdout

    one = json.loads(fedflow("task", "outputs", made, "--party", TWO, "--json").stdout)
    assert [each["party"] for each in one["parties"]] == [TWO]
    assert list(one) == documented("task outputs")
    paths = fedflow("task", "outputs", made, "-o", "id").stdout.splitlines()
    assert paths == sorted(WANTED)


def test_downloads_come_whole_once_and_replace_nothing_unasked(fedflow, made, tmp_path):
    to = tmp_path / "here"
    done = fedflow("task", "download", made, "--to", to)
    assert done.returncode == 0, done.stderr
    assert content(to) == WANTED
    assert f"{TWO}/sub/model.txt  14 B" in done.stdout.splitlines()
    assert done.stderr.splitlines() == ["bringing 30 B in 6 files", "6 files, 30 B"]

    again = fedflow("task", "download", made, "--to", to, "--json")
    assert list(json.loads(again.stdout)) == documented("task download")
    changed = to / ONE / "sub" / "model.txt"
    changed.write_text("mine")
    refused = fedflow("task", "download", made, "--to", to)
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert changed.read_text() == "mine"
    assert fedflow("task", "download", made, "--to", to, "--overwrite").returncode == 0
    assert content(to) == WANTED


def test_a_download_goes_on_where_it_was_cut(fedflow, write, tmp_path):
    file = write('head -c 3000000 /dev/urandom > "$FEDFLOW_OUTPUT_DIR/large"')
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait", "--wait-outputs").returncode == 0
    [listed] = json.loads(fedflow("task", "outputs", task, "--json").stdout)["files"]
    whole = tmp_path / "whole"
    assert fedflow("task", "download", task, "--to", whole).returncode == 0
    first = (whole / ONE / "large").read_bytes()
    part = tmp_path / "cut" / ONE / f".{listed['sha256']}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(first[:2_000_000])
    assert fedflow("task", "download", task, "--to", tmp_path / "cut").returncode == 0
    assert content(tmp_path / "cut") == {f"{ONE}/large": first}


def test_parties_and_names_can_be_chosen_and_what_is_not_there_is_told(fedflow, made, tmp_path):
    to = tmp_path / "to"
    chosen = ("--party", TWO, "--name", "none", "--name", "sub/model.txt")
    assert fedflow("task", "download", made, "--to", to, *chosen).returncode == 0
    assert set(content(to)) == {f"{TWO}/none", f"{TWO}/sub/model.txt"}
    for arguments, code in (
        (("--party", "nobody"), 3),
        (("--name", "other"), 2),
        (("--name", "../x"), 2),
        (("--run", "0" * 32), 3),
        (("--timeout", "1"), 2),
    ):
        done = fedflow("task", "download", made, "--to", to, *arguments)
        assert done.returncode == code, (arguments, done.stderr)
    assert fedflow("task", "download", made).returncode == 2
    assert fedflow("task", "outputs", "nobody-s").returncode == 3
    blocked = tmp_path / "file"
    blocked.touch()
    assert fedflow("task", "download", made, "--to", blocked).returncode == 2


def test_what_is_still_to_come_is_no_success_unless_names_are_given(
    process_flow, fedflow, write, tmp_path
):
    to = tmp_path / "to"
    gate = process_flow.gate()
    script = (
        'cd "$(dirname "$FEDFLOW_API")"; echo early > "$TMPDIR/x"; '
        "curl -sS --fail --unix-socket api.sock -T $TMPDIR/x http://f/v1/outputs/early; "
        f"{gate.script}; echo late > $FEDFLOW_OUTPUT_DIR/late"
    )
    file = write(script)
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file).returncode == 0
    _until_listed(fedflow, task, f"{ONE}/early")
    early = fedflow("task", "download", task, "--to", to)
    assert early.returncode == 15
    assert f"more is to come from {ONE}" in early.stderr
    assert set(content(to)) == {f"{ONE}/early"}
    named = fedflow("task", "download", task, "--to", to, "--name", "early")
    assert named.returncode == 0
    late = fedflow("task", "download", task, "--to", to, "--wait", "--timeout", "0")
    assert late.returncode == 15
    assert "not yet" in fedflow("task", "outputs", task).stdout
    gate.open()
    assert fedflow("task", "download", task, "--to", to, "--wait").returncode == 0
    assert set(content(to)) == {f"{ONE}/early", f"{ONE}/late"}


def _until_listed(fedflow, task, path):
    def listed():
        return fedflow("task", "outputs", task, "-o", "id").stdout.split("\n")

    until(lambda: path in listed(), listed)


def test_a_share_that_never_ran_is_not_waited_for(fedflow, write, tmp_path):
    to = tmp_path / "to"
    file = write("true", template="resources: {gpus: {count: 9}}\n", parties=PARTIES[:2])
    task = f"{file.stem}-task"
    assert fedflow("task", "start", file, "--wait", "--wait-outputs").returncode == 11
    done = fedflow("task", "download", task, "--to", to, "--wait")
    assert (done.returncode, done.stderr) == (0, "there are no files\n")
    assert fedflow("task", "outputs", task).stdout.count("none: it never ran") == 2


def test_watching_goes_on_until_outputs_are_there_where_it_is_asked_for(fedflow, write):
    file = write(LEAVES)
    done = fedflow("task", "start", file, "--watch", "--wait-outputs", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "end"
    [last] = [each for each in events if each["event"] == "outputs"][-1:]
    assert (last["party"], last["complete"], last["files"], last["bytes"]) == (ONE, True, 3, 15)
    plain = fedflow("task", "watch", f"{file.stem}-task", "--wait-outputs").stdout.splitlines()
    assert f"{ONE} outputs are there" in plain
    assert fedflow("task", "start", file, "--wait-outputs").returncode == 2


def test_the_live_view_has_a_bar_for_outputs_and_downloads_have_one(process_flow, write, tmp_path):
    to = tmp_path / "to"
    file = write(f"{LEAVES}\nhead -c 20000000 /dev/zero > large", parties=PARTIES[:2])
    address = process_flow.server.address
    with Terminal(
        "task", "start", file, "--watch", "--wait-outputs", columns=120, FEDFLOW_SERVER=address
    ) as terminal:
        assert terminal.ended() == 0
        last = terminal.text[terminal.text.rindex("party ") :]
        assert "outputs" in last.splitlines()[0]
        assert last.count("━" * 12) == 2
    with Terminal(
        "task", "download", f"{file.stem}-task", "--to", to, FEDFLOW_SERVER=address
    ) as terminal:
        assert terminal.ended() == 0
        assert "━" in terminal.text
        assert "38.1/38.1MiB" in terminal.text.replace(" ", "")
        assert f"{TWO}/large  19.1 MiB" in terminal.text
    assert len(content(to)) == 8


def test_a_server_that_is_away_is_5(tmp_path):
    to = tmp_path / "to"
    for arguments in (("outputs", "x"), ("download", "x", "--to", to)):
        done = run("task", *arguments, FEDFLOW_SERVER="127.0.0.1:1")
        assert done.returncode == 5
