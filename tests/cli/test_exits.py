"""Exit codes: one table in code and on the page, and how a run's end is read."""

import re

import pytest

from flow_contract.errors import CATALOGUE, InvalidArgument, NotFound, Unavailable, by_ret_code
from flow_contract.lifecycle import RunStatus
from flow_contract.reasons import Reason
from flow_server_sdk.cli.exits import MEANINGS, OF_REASONS, Exit, of_error, of_task
from tests.arch.repository import text

# They say why a party waits, how it ended well, or that another party is the cause.
NO_CAUSE = {
    Reason.NONE,
    Reason.WAITING_FOR_CONNECTION,
    Reason.WAITING_FOR_GPU,
    Reason.PULLING_IMAGE,
    Reason.COMPLETED,
    Reason.STOPPED_BY_USER,
    Reason.START_ROLLED_BACK,
    Reason.WAITING_FOR_COORDINATOR,
    Reason.PARTIES_ENDED,
    Reason.COORDINATOR_ENDED,
    Reason.PEER_FAILED,
}


def task(status, *reasons):
    return {
        "status": str(status),
        "party_status": [{"reason": str(reason)} for reason in reasons],
    }


def with_coordinator(task, reason):
    return task | {"coordinator": {"role": "coordinator", "reason": str(reason)}}


def test_the_page_has_the_same_table_as_the_code():
    rows = re.findall(r"^\| `(\d+)` \| (.+) \|$", text("docs/cli.md"), re.MULTILINE)
    assert rows == [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    assert set(MEANINGS) == set(Exit)


def test_only_success_is_zero():
    assert [code for code in Exit if code == 0] == [Exit.OK]
    assert len({int(code) for code in Exit}) == len(Exit)


def test_every_reason_that_can_be_a_cause_has_a_code():
    assert set(OF_REASONS) == set(Reason) - NO_CAUSE


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (task(RunStatus.SUCCEEDED, Reason.COMPLETED), Exit.OK),
        (task(RunStatus.CANCELLED, Reason.STOPPED_BY_USER), Exit.STOPPED),
        (task(RunStatus.CANCELLED, Reason.STOPPED_BY_USER, Reason.GIVEN_UP), Exit.LOST),
        (task(RunStatus.UNKNOWN, Reason.LEASE_EXPIRED), Exit.LOST),
        (task(RunStatus.RUNNING, Reason.NONE), Exit.STILL_RUNNING),
        (task(RunStatus.FAILED, Reason.EXIT_NONZERO, Reason.COMPLETED), Exit.FAILED),
        (task(RunStatus.FAILED, Reason.START_ROLLED_BACK, Reason.POLICY_DENIED), Exit.REFUSED),
        # Who waits in vain for the one that failed runs out of time.
        (task(RunStatus.FAILED, Reason.TIMED_OUT, Reason.OOM_KILLED), Exit.FAILED),
        (task(RunStatus.FAILED, Reason.START_ROLLED_BACK, Reason.START_TIMED_OUT), Exit.TIMED_OUT),
        (task(RunStatus.FAILED, Reason.SITE_DISCONNECTED), Exit.LOST),
        (task(RunStatus.FAILED, "of_a_newer_server"), Exit.FAILED),
        (task(RunStatus.FAILED), Exit.FAILED),
        (task(RunStatus.FAILED, Reason.COORDINATOR_UNREACHABLE), Exit.TIMED_OUT),
        # The parties only say that they went with it.
        (
            with_coordinator(task(RunStatus.FAILED, Reason.PEER_FAILED), Reason.OOM_KILLED),
            Exit.FAILED,
        ),
        (
            with_coordinator(
                task(RunStatus.FAILED, Reason.START_ROLLED_BACK), Reason.IMAGE_NOT_FOUND
            ),
            Exit.REFUSED,
        ),
    ],
)
def test_a_run_ends_the_command_by_its_worst_party(seen, code):
    assert of_task(seen) is code


def test_every_error_of_the_catalogue_has_a_code_that_is_not_success():
    codes = {error: of_error(error) for error in CATALOGUE}
    assert Exit.OK not in codes.values()
    assert codes[NotFound] is Exit.NOT_FOUND
    assert codes[Unavailable] is Exit.UNREACHABLE
    assert of_error(None) is Exit.ERROR


def test_the_sdk_s_numbers_lead_back_to_their_class():
    assert by_ret_code(10000) is InvalidArgument
    assert by_ret_code(10300) is NotFound
    assert by_ret_code(0) is None
