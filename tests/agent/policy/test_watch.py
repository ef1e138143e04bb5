"""A policy file that changes under a running agent, for better or for worse."""

import os
import threading

import pytest
from structlog.testing import capture_logs

from party_agent.policy.load import PolicyInvalid
from party_agent.policy.rules import Rules
from party_agent.policy.watch import SETTLED_S, PolicyFile

TWO, THREE = "[limits]\nmax_gpus = 2\n", "[limits]\nmax_gpus = 3\n"


class Written:
    """A policy file, and a clock that stands at `now_s`."""

    def __init__(self, path, text):
        self.path = path / "policy.toml"
        self.now_s = 1_000_000.0
        self.write(text)
        self.policy = PolicyFile(self.path, now_s=lambda: self.now_s)

    @property
    def max_gpus(self):
        return self.policy.rules.limits.max_gpus

    def write(self, text, *, age_s=10.0):
        self.now_s += 100
        self.path.write_text(text)
        os.utime(self.path, (self.now_s - age_s, self.now_s - age_s))


@pytest.fixture
def written(tmp_path):
    return Written(tmp_path, TWO)


def test_a_changed_file_counts_from_the_next_look(written):
    assert not written.policy.refresh()
    written.write(THREE)
    assert written.max_gpus == 2
    assert written.policy.refresh()
    assert written.max_gpus == 3
    assert not written.policy.refresh()


def test_a_file_that_takes_another_s_place_counts_also_if_it_is_older(written):
    other = written.path.with_name("new.toml")
    other.write_text(THREE)
    os.utime(other, (1, 1))
    other.rename(written.path)
    assert written.policy.refresh()
    assert written.max_gpus == 3


@pytest.mark.parametrize("broken", ["[limits\n", "[limits]\nmax_gpu = 9\n", "\x00"])
def test_a_broken_file_keeps_the_last_good_rules_and_says_so_once(written, broken):
    written.write(broken)
    with capture_logs() as logs:
        assert not written.policy.refresh()
        assert not written.policy.refresh()
    assert written.max_gpus == 2
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("policy_invalid", "error")
    assert line["problems"][0].startswith(f"{written.path}:")
    written.write(THREE)
    assert written.policy.refresh()
    assert written.max_gpus == 3


def test_a_file_that_is_gone_keeps_the_last_good_rules(written):
    written.path.unlink()
    with capture_logs() as logs:
        assert not written.policy.refresh()
        assert not written.policy.refresh()
    assert [line["event"] for line in logs] == ["policy_invalid"]
    assert written.max_gpus == 2
    written.write(THREE)
    assert written.policy.refresh()


def test_a_file_that_is_still_being_written_is_left_to_be_finished(written):
    # Half of a file may be a good file that allows more: what is left out restricts nothing.
    written.write("", age_s=SETTLED_S / 2)
    assert not written.policy.refresh()
    assert written.max_gpus == 2
    written.now_s += SETTLED_S
    assert written.policy.refresh()
    assert written.policy.rules == Rules()


def test_a_file_from_the_future_counts_at_once(written):
    written.write(THREE, age_s=-3600)
    assert written.policy.refresh()


def test_a_change_of_comments_alone_is_no_change_of_rules(written):
    written.write(f"# why\n{TWO}")
    assert not written.policy.refresh()


def test_an_agent_can_not_start_with_a_broken_or_missing_file(tmp_path):
    with pytest.raises(PolicyInvalid, match=r"policy.toml:1: can't be read: No such file"):
        PolicyFile(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_text("[limits]\nmax_gpu = 1")
    with pytest.raises(PolicyInvalid, match=r"policy.toml:2: limits.max_gpu is not known"):
        PolicyFile(tmp_path / "policy.toml")
    with pytest.raises(PolicyInvalid, match="can't be read"):
        PolicyFile(tmp_path)


def test_many_threads_may_look_at_once(written):
    written.write(THREE)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(written.policy.refresh())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == 1
    assert written.max_gpus == 3
