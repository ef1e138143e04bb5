"""The site hears who asked and for what: its policy and its audit log speak of both."""

from flow_contract.access import Role
from flow_contract.lifecycle import PartyRunState
from flow_contract.reasons import Reason
from flow_server_sdk import AsyncFlowServerSdk
from tests.server.flows import make_task


async def user_of(flow, name, role):
    """Return a client of a new user."""
    host, port = flow.server.grpc_address.rsplit(":", 1)
    token = flow.pki.admin_token.read_text().strip()
    async with AsyncFlowServerSdk(host, port, token=token, ca=flow.pki.ca_certificate) as admin:
        assert (await admin.user.add(name, role.value))["ret_code"] == 0
        made = (await admin.user.create_token(name))["data"]["token"]
    return AsyncFlowServerSdk(host, port, token=made, ca=flow.pki.ca_certificate)


async def test_an_assignment_names_who_started_it_also_when_it_is_repeated(flow):
    agent = flow.agent("hospital-a", await flow.proof_for("hospital-a"))
    await agent.connect()
    async with (
        await user_of(flow, "ana", Role.RESEARCHER) as ana,
        await user_of(flow, "olga", Role.ADMIN) as olga,
    ):
        retry = {"max_retries": 1, "backoff_s": 0}
        task_id = await make_task(ana, ["hospital-a"], retry=retry)
        # Made by one and started by another: the one who started it counts.
        assert (await olga.task.start(task_id))["ret_code"] == 0
        first = await agent.assigned()
        assert (first.spec.requested_by, first.spec.template_name) == (
            "olga",
            "template of task-1",
        )
        await agent.report(
            first.spec.party_run_id, PartyRunState.FAILED, reason=Reason.RUNTIME_ERROR
        )
        del agent.assignments[first.spec.party_run_id]
        repeat = await agent.assigned()
        assert repeat.spec.run_id != first.spec.run_id
        assert repeat.spec.requested_by == "olga"
        assert repeat.spec.template_name == first.spec.template_name
