"""A start's deadline where a party is not connected, long before its lease is over."""

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from tests.server.flows import make_task, party_status, until_absent

S = PartyRunState
# Leases of five minutes: what happens in a test's time happens before one has expired.
LONG_LEASES = {"lost_after_s": 600, "sweep_s": 0.05, "return_grace_s": 0}


@pytest.mark.parametrize("server_options", [LONG_LEASES])
async def test_a_party_without_a_connection_is_refused_at_the_deadline_not_after_its_lease(
    sdk, connect
):
    online, offline = await connect("hospital-a"), await connect("hospital-b")
    await offline.cut()
    await until_absent(sdk, "hospital-b")
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], start_deadline_s=1)
    await sdk.task.start(task_id)
    stopped = await online.assigned(Desired.STOPPED)
    await online.report(stopped.spec.party_run_id, S.STOPPED, reason=stopped.cause)

    assert (await sdk.task.wait(task_id, timeout_s=60))["data"]["status"] == "Failed"
    assert (await party_status(sdk, task_id))["hospital-b"] == ("refused", "party_offline")


@pytest.mark.parametrize("server_options", [LONG_LEASES])
@pytest.mark.parametrize("said", [{"state": S.PREPARED}, {"reason": Reason.WAITING_FOR_GPU}])
async def test_a_short_cut_after_the_deadline_refuses_nobody_who_has_taken_part(
    sdk, connect, engine, said
):
    cut, other = await connect("hospital-a"), await connect("hospital-b")
    task_id = await make_task(sdk, ["hospital-a", "hospital-b"], start_deadline_s=1)
    await sdk.task.start(task_id)
    item = await cut.assigned()
    await cut.report(item.spec.party_run_id, **{"state": S.PENDING, **said})
    await cut.cut()
    await until_absent(sdk, "hospital-a")
    # A run whose absent party is refused at its deadline, later than the first one's.
    witness = await make_task(sdk, ["hospital-a"], name="witness", start_deadline_s=2)
    await sdk.task.start(witness)

    assert (await sdk.task.wait(witness, timeout_s=60))["data"]["status"] == "Failed"
    assert (await party_status(sdk, task_id))["hospital-a"] == (
        said.get("state", S.PENDING),
        said.get("reason", Reason.NONE),
    )
    assert [item.desired for item in other.assignments.values()] == [Desired.PREPARED]
