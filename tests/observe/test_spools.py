"""Bytes of logs at a site, as its numbers have them."""

import pytest

from party_agent.policy.rules import MayLeave
from party_agent.runtime.log_capture import STDOUT, LogFile
from party_agent.telemetry.metrics import AgentMetrics
from party_agent.telemetry.observed import ObservedSpools


@pytest.fixture
def metrics():
    return AgentMetrics(version="x")


@pytest.fixture
def spools(metrics, tmp_path):
    return ObservedSpools(metrics, tmp_path, bytes_per_run=2000, bytes_of_site=10_000)


def written(spools, *pieces):
    room = spools.room_for("run1", MayLeave(logs=True))
    log = LogFile(room.path, most_bytes=room.most_bytes)
    for piece in pieces:
        log.write(STDOUT, piece)
    log.close()
    return spools.size_bytes("run1")


def number(metrics, name):
    return metrics.registry.get_sample_value(f"fedflow_agent_{name}")


def test_what_a_cap_took_is_counted_when_the_log_is_complete(spools, metrics):
    size = written(spools, b"x" * 1000, b"y" * 1500, b"z" * 7)
    assert spools.look() == (size, size)
    assert number(metrics, "log_dropped_bytes_total") == 0
    spools.remove("run1")
    assert number(metrics, "log_dropped_bytes_total") == 1507
    assert spools.look() == (size, 0)


def test_a_log_that_was_not_cut_dropped_nothing(spools, metrics):
    size = written(spools, b"5 bytes dropped")
    assert sum(chunk.raw_bytes for chunk in spools.chunks("run1", 0)) == size
    assert number(metrics, "log_sent_bytes_total") == size
    spools.remove("run1")
    spools.remove("run1")
    assert number(metrics, "log_dropped_bytes_total") == 0
