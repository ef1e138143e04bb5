"""Unmodified frameworks over three sites that share no network, by the flow files of examples/."""

import re

import pytest

from tests.e2e.federated.conftest import PARTIES

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.timeout(1800)]

# Generous: the machine may be busy, and nothing waits this long when all is well.
RUN_S = 1200
IFLEARNER_EPOCHS = 8
LEAST_ACCURACY = 0.85


def accuracies(lines):
    """Return the accuracy of each epoch that a party printed."""
    return [float(found[1]) for line in lines if (found := re.search(r"accuracy ([0-9.]+)", line))]


def run(flow, path, **options):
    task_id = flow.started(path)
    final = flow.ended(task_id, timeout_s=RUN_S, **options)
    assert final["status"] == "Succeeded", (final, flow.lines(task_id)[-50:])
    return task_id, final


def traffic(member):
    return {each["peer"]: each for each in member["traffic"]}


@pytest.mark.parametrize("enable_smpc", [False, True], ids=["plain", "smpc"])
def test_iflearner_learns_and_its_run_succeeds_though_its_server_never_exits(
    flow, flow_file, image, enable_smpc
):
    image("iflearner_digits")
    path = flow_file(
        "iflearner_digits",
        template={"name": f"iflearner-{enable_smpc}"},
        task={"name": f"iflearner-task-{enable_smpc}"},
        start={"epochs": IFLEARNER_EPOCHS, "enable_smpc": enable_smpc},
    )
    seen = []

    def note(data):
        seen.extend(each["current_epoch"] for each in data["party_status"])

    task_id, final = run(flow, path, on_change=note)

    for party in PARTIES:
        learnt = accuracies(flow.lines(task_id, party))
        assert len(learnt) == IFLEARNER_EPOCHS
        assert learnt[-1] > LEAST_ACCURACY
    for status in final["party_status"]:
        assert (status["state"], status["exit_code"]) == ("succeeded", 0)
        assert status["complete"] is True
        assert status["current_epoch"] == status["total_epoch"] == IFLEARNER_EPOCHS
        # Where parties talk to each other, they say so.
        others = {f"party-{party}" for party in PARTIES if party != status["federated_id"]}
        assert (others <= traffic(status).keys()) is enable_smpc
        assert traffic(status)["coordinator"]["sent_bytes"] > 0
    # Told on the way by the server's own page: the parties themselves say nothing of Fedflow.
    assert set(seen) & set(range(1, IFLEARNER_EPOCHS))
    assert final["coordinator"]["state"] == "stopped"
    assert final["coordinator"]["reason"] == "parties_ended"


def test_flower_runs_three_rounds_and_its_superlink_says_how_the_run_went(flow, flow_file, image):
    image("flower_digits")
    task_id, final = run(flow, flow_file("flower_digits"))

    coordinator = final["coordinator"]
    assert (coordinator["state"], coordinator["exit_code"]) == ("succeeded", 0)
    rounds = [
        line for line in flow.lines(task_id, "coordinator") if re.search(r"round \d accuracy", line)
    ]
    assert [line.split("round ")[1][0] for line in rounds] == ["1", "2", "3"]
    assert accuracies(rounds)[-1] > LEAST_ACCURACY
    for status in final["party_status"]:
        # A SuperNode runs until somebody stops it.
        assert (status["state"], status["reason"]) == ("stopped", "coordinator_ended")


def test_gloo_sums_over_three_parties_that_dial_each_other(flow, flow_file, image):
    image("gloo_allreduce")
    task_id, final = run(flow, flow_file("gloo_allreduce"))

    for rank, status in enumerate(final["party_status"]):
        assert (status["state"], status["exit_code"]) == ("succeeded", 0)
        lines = flow.lines(task_id, status["federated_id"])
        name = f"party-{status['federated_id']}"
        assert f"rank {rank} of 3 at {name}: 5 sums are right" in lines
        # Each has sent the vectors to somebody: this was no sum of one.
        assert sum(each["sent_bytes"] for each in status["traffic"]) > 1_000_000
