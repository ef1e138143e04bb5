"""Group commit: what waits rides the next transaction together.

A few transactions are in flight, so a thousand callers at once cost a few commits, and one
who comes alone waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

from flow_contract.errors import FlowError, InvalidArgument, Kind, Unavailable
from flow_server.storage.database import StatementRefused

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Apply: TypeAlias = Callable[[Sequence[Item]], Awaitable[Sequence[Answer | FlowError]]]


def _nothing_in_common(_item: object) -> Hashable:
    return object()


class Batches(Generic[Item, Answer]):
    """Answers many callers with few calls of `apply`.

    Invariant: `submit` returns only after the `apply` that held its item has returned.
    """

    def __init__(
        self,
        apply: Apply[Item, Answer],
        *,
        in_flight: int,
        most: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        key: Callable[[Item], Hashable] = _nothing_in_common,
    ) -> None:
        """Let `in_flight` calls of `apply` run at a time, each with items of `most` weight.

        It returns an answer, or the error to raise, per item. One item alone may weigh more. Of
        two items with one `key` the later one waits for another call.
        """
        self._apply_all = apply
        self._in_flight = in_flight
        self._most = most
        self._weigh = weigh
        self._key = key
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._arrived = asyncio.Event()

    async def submit(self, item: Item) -> Answer:
        """Have the item applied and return its answer.

        Raises:
            FlowError: what `apply` said of this item, or of all.
            StatementRefused: the database refuses this very item.
        """
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._arrived.set()
        return await done

    async def run(self) -> None:
        """Apply what is submitted until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._in_flight):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._take()
            if batch:
                await self._apply(batch)

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        weight, keys = 0, set()
        taken: list[tuple[Item, asyncio.Future[Answer]]] = []
        left: list[tuple[Item, asyncio.Future[Answer]]] = []
        for waiting in self._waiting:
            item, done = waiting
            if done.done():
                # Who asked has left; what nobody has begun needs no end.
                continue
            key, more = self._key(item), self._weigh(item)
            if key in keys or (taken and weight + more > self._most):
                left.append(waiting)
                continue
            keys.add(key)
            weight += more
            taken.append(waiting)
        self._waiting = left
        if not left:
            self._arrived.clear()
        return taken

    async def _apply(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._apply_all([item for item, _ in batch])
        except (StatementRefused, InvalidArgument) as error:
            await self._apply_apart(batch, error)
            return
        except FlowError as error:
            _fail(batch, error)
            return
        except BaseException:
            # Told to ask again, and not cancelled: that would look like the waiter's own end.
            _fail(batch, _not_stored())
            raise
        for (_, done), answer in zip(batch, answers, strict=True):
            if done.done():
                continue
            if isinstance(answer, FlowError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

    async def _apply_apart(
        self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]], error: Exception
    ) -> None:
        """Let none but the sender of what can't be stored pay for it."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        try:
            for one in batch:
                await self._apply([one])
        finally:
            _fail(batch, _not_stored())


def _fail(batch: Sequence[tuple[object, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)


def _not_stored() -> Unavailable:
    return Unavailable("nothing was stored; send it again", kind=Kind.SERVER)
