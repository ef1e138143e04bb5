"""A party that its server drains: while it is drained, a start that names it must be refused."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from flow_contract.errors import FlowError
from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Fault
from tests.chaos.toll import Strike, Toll

REFUSED = 10304
_WITHIN_S = 60.0
_AGAIN_S = 0.1

T = TypeVar("T")


class PartyPart:
    """Drained by the same command that an operator has."""

    def __init__(self, place: Place, fault: Fault, toll: Toll) -> None:
        self._sdk = place.sdk
        self._party = PARTIES[int(fault.part.partition("-")[2])]
        self._fault = fault
        self._toll = toll

    async def strike(self) -> None:
        await insist(lambda: self._sdk.party.drain(self._party))
        self._since = datetime.now(UTC)

    async def struck(self) -> None:
        """Start something there: it must be refused."""
        task_id = await insist(self._make_task)
        self._toll.refused.append(task_id)
        request_id = uuid.uuid4().hex
        answer = await insist(lambda: self._sdk.task.start(task_id, request_id=request_id))
        if answer["ret_code"] != REFUSED:
            self._toll.findings.append(f"drained, {self._party} answered a start with {answer}")

    async def repair(self) -> None:
        until = datetime.now(UTC)
        await insist(lambda: self._sdk.party.resume(self._party))
        if hasattr(self, "_since"):
            self._toll.drained.append(Strike(fault=self._fault, since=self._since, until=until))

    async def _make_task(self) -> str:
        # A name of its own each time: what got no answer may have been made.
        name = f"drained {uuid.uuid4().hex[:12]}"
        made = await self._sdk.template.create(
            name=name, image_url="ignored:1", workdir="", command=["true"]
        )
        task = await self._sdk.task.create(
            name=name,
            template_id=made["data"]["template_id"],
            remark="",
            federate_data=[{"federated_id": self._party, "federated_data": "d"}],
        )
        return task["data"]["task_id"]


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Ask until somebody answers."""
    async with asyncio.timeout(_WITHIN_S):
        while True:
            try:
                return await call()
            except FlowError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(_AGAIN_S)
