"""The server's reconcile logic, on a real PostgreSQL, against a small model of it.

CHAOS_MODEL_STEPS is the least number of steps to take (500).
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.machine import Reconcile
from tests.chaos.served import Served

STEPS = int(os.environ.get("CHAOS_MODEL_STEPS", "500"))
STEPS_EACH = 50


@pytest.mark.timeout(1800)
def test_the_server_reconciles_as_the_model_does(cluster):
    served = Served(cluster.url(cluster.create(migrated=True)))
    try:
        run_state_machine_as_test(
            lambda: Reconcile(served),
            settings=settings(
                max_examples=-(-STEPS // STEPS_EACH),
                stateful_step_count=STEPS_EACH,
                deadline=None,
                derandomize=STEPS <= 500,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        served.close()
