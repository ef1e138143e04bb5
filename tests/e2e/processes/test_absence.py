"""Parties that are not there: waited for until the deadline, and no longer."""

import pytest

from tests.e2e.processes.events import EngineEvents
from tests.e2e.processes.federation import PARTIES, SUCCESS, by_party, ends

pytestmark = pytest.mark.docker

A, B, C = PARTIES


@pytest.fixture
def flow(found):
    return found("--runtime", "docker", lost_after_s=5)


@pytest.fixture
def late(flow):
    """A site that has been seen and is offline now."""
    site = flow.site(C)
    assert site.terminate() == 0
    return site


def test_a_party_offline_past_the_deadline_starts_nothing_anywhere(
    flow, late, engine_client, image
):
    task_id = flow.shell("true", parties=(A, B, C), start_deadline_s=1)
    with EngineEvents(engine_client, image) as events:
        final = flow.ran(task_id)
    assert final["status"] == "Failed"
    assert ends(final) == {
        A: ("stopped", "start_rolled_back"),
        B: ("stopped", "start_rolled_back"),
        C: ("refused", "party_offline"),
    }
    assert "deadline" in by_party(final)[C]["message"]
    assert events.parties("start", final["run_id"]) == []

    # Back again, it has nothing to do with the run that is over.
    late.start()
    assert flow.ran(flow.shell("true", parties=(A, C)))["status"] == "Succeeded"


def test_a_party_that_connects_before_the_deadline_takes_part(flow, late, engine_client, image):
    task_id = flow.shell("true", parties=(A, C), start_deadline_s=3600)
    with EngineEvents(engine_client, image) as events:
        flow.start(task_id)
        waiting = flow.until(task_id, lambda data: by_party(data)[A]["state"] == "prepared")
        assert waiting["status"] == "Pending"
        assert by_party(waiting)[C]["reason"] == "waiting_for_connection"
        assert "connect" in by_party(waiting)[C]["message"]
        assert [site["State"] for site in flow.site(A).workloads()] == ["created"]
        late.start()
        final = flow.wait(task_id)
    assert final["status"] == "Succeeded"
    assert events.parties("start", final["run_id"]) == [A, C]


def test_a_stop_does_not_wait_for_a_party_that_is_offline(flow, late):
    task_id = flow.shell("true", parties=(A, C), start_deadline_s=3600)
    flow.start(task_id)
    flow.until(task_id, lambda data: by_party(data)[A]["state"] == "prepared")
    assert flow.sdk.task.stop(task_id) == SUCCESS
    final = flow.wait(task_id)
    assert final["status"] == "Cancelled"
    assert set(ends(final).values()) == {("stopped", "stopped_by_user")}
