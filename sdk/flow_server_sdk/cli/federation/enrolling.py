"""Making a federation's identities: the server's, and each party's by a token of its own."""

import asyncio
from collections.abc import Callable

from flow_contract.errors import FlowError
from flow_server_sdk.cli.federation.child import Child
from flow_server_sdk.cli.federation.lines import Console
from flow_server_sdk.cli.federation.plan import SERVER, Plan
from flow_server_sdk.client import AsyncFlowServerSdk
from flow_server_sdk.shapes import Answer


class NotEnrolled(Exception):
    """An identity could not be made; the text says in a sentence which and why."""


async def init(plan: Plan) -> None:
    """Make the server's certificates unless there are some. Raises NotEnrolled."""
    if not plan.pki.exists():
        await _run(SERVER, plan.init_command())


async def enrol_all(plan: Plan, address: str) -> None:
    """Add every party at the server and give its agent an identity, all at once.

    Raises:
        NotEnrolled: one could not be; none of the commands is left running.
    """
    host, _, port = address.rpartition(":")
    try:
        token = plan.admin_token.read_text().strip()
    except OSError as error:
        raise NotEnrolled(f"{plan.admin_token} is needed here: {error.strerror}") from None
    async with AsyncFlowServerSdk(host, port, token=token, ca=plan.ca) as sdk:
        try:
            tokens = await asyncio.gather(*(_added(plan, sdk, party) for party in plan.party_ids))
        except FlowError as error:
            raise NotEnrolled(error.message) from None
    enrolling = [
        asyncio.create_task(
            _run(party, plan.enrol_command(party, address), given=text.encode() + b"\n")
        )
        for party, text in zip(plan.party_ids, tokens, strict=True)
    ]
    try:
        await asyncio.gather(*enrolling)
    finally:
        for task in enrolling:
            task.cancel()
        await asyncio.gather(*enrolling, return_exceptions=True)


async def _added(plan: Plan, sdk: AsyncFlowServerSdk, party: str) -> str:
    if plan.is_enrolled(party):
        # By a run of this federation before; its keys are worth nothing from now on.
        await sdk.party.revoke(party)
    answer: Answer = await sdk.party.add(party)
    if answer["ret_code"] != 0:
        raise NotEnrolled(f"{party} could not be added: {answer['ret_msg']}")
    return str(answer["data"]["enrolment_token"])


async def _run(name: str, command: list[str], *, given: bytes = b"") -> None:
    lines: list[str] = []
    child = await Child.start(name, command, _quiet(name, lines.append), given=given)
    try:
        code = await child.ended
    finally:
        child.kill()
    if code != 0:
        said = " ".join(line.partition("| ")[2] for line in lines[-3:])
        raise NotEnrolled(f"{name} got no identity: {said}")


def _quiet(name: str, write: Callable[[str], None]) -> Console:
    return Console([name], as_json=True, write=write)
