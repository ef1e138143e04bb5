"""Which party run holds which GPU: exclusive, in the server's order of starts, nobody overtakes.

The container engine keeps no account of GPUs in use, so this is the only one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flow_contract.reasons import Reason, sentence
from flow_contract.templates import GpuRequest
from party_agent.runtime.port import RuntimeRefused


@dataclass(frozen=True, kw_only=True)
class GpuInventory:
    """The site's GPUs; `aliases` maps other spellings (an index) to the id."""

    ids: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Ask:
    order: int
    party_run_id: str
    count: int
    ids: tuple[str, ...]


class GpuAllocator:
    """Assigns ids.

    Invariant: an id is held by one party run at most, and a party run that waits is never
    passed by one of a later order.
    """

    def __init__(self, inventory: GpuInventory) -> None:
        self._inventory = inventory
        self._held: dict[str, tuple[str, ...]] = {}
        self._queue: list[_Ask] = []

    def restore(self, party_run_id: str, ids: tuple[str, ...]) -> None:
        """Give back what a party run already held before a restart."""
        if ids:
            self._held[party_run_id] = ids

    def enqueue(self, party_run_id: str, order: int, request: GpuRequest) -> None:
        """Take a place in the queue; who holds or waits already keeps it.

        Raises:
            RuntimeRefused: the site can never satisfy it.
        """
        if party_run_id in self._held or any(
            ask.party_run_id == party_run_id for ask in self._queue
        ):
            return
        ids = tuple(self._inventory.aliases.get(name, name) for name in request.device_ids)
        unknown = [
            name
            for name, gpu in zip(request.device_ids, ids, strict=True)
            if gpu not in self._inventory.ids
        ]
        if unknown:
            raise _refusal(f"this site has no GPU {', '.join(unknown)}")
        if len(set(ids)) != len(ids):
            raise _refusal("two of the ids name the same GPU")
        if request.size > len(self._inventory.ids):
            raise _refusal(
                f"{_gpus(request.size)} asked for, the site has {len(self._inventory.ids)}"
            )
        self._queue.append(
            _Ask(order=order, party_run_id=party_run_id, count=request.size, ids=ids)
        )
        self._queue.sort(key=lambda ask: (ask.order, ask.party_run_id))

    def grant(self) -> list[str]:
        """Serve the queue from its head while the head fits; return who was served."""
        served = []
        while self._queue and (ids := self._fit(self._queue[0])) is not None:
            ask = self._queue.pop(0)
            self._held[ask.party_run_id] = ids
            served.append(ask.party_run_id)
        return served

    def held(self, party_run_id: str) -> tuple[str, ...]:
        """Return the ids that the party run holds, none where it waits or never asked."""
        return self._held.get(party_run_id, ())

    def waiting(self) -> list[str]:
        """Return who waits, first in line first."""
        return [ask.party_run_id for ask in self._queue]

    def why_waiting(self, party_run_id: str) -> str:
        """Return a sentence for people, empty for who does not wait."""
        line = self.waiting()
        if party_run_id not in line:
            return ""
        ahead = line.index(party_run_id)
        ask = self._queue[ahead]
        what = f"GPU {', '.join(ask.ids)}" if ask.ids else _gpus(ask.count)
        text = f"waiting for {what}; {len(self._free())} of {len(self._inventory.ids)} free"
        if ahead:
            text += f", {ahead} {'run' if ahead == 1 else 'runs'} ahead in the queue"
        return text

    def release(self, party_run_id: str) -> None:
        """Free what the party run holds and give up its place; nothing there is fine."""
        self._held.pop(party_run_id, None)
        self._queue = [ask for ask in self._queue if ask.party_run_id != party_run_id]

    def _free(self) -> list[str]:
        taken = {gpu for ids in self._held.values() for gpu in ids}
        return [gpu for gpu in self._inventory.ids if gpu not in taken]

    def _fit(self, ask: _Ask) -> tuple[str, ...] | None:
        free = self._free()
        if ask.ids:
            return ask.ids if set(ask.ids) <= set(free) else None
        return tuple(free[: ask.count]) if ask.count <= len(free) else None


def inventory_of(ids: Iterable[str]) -> GpuInventory:
    """Return an inventory of ids that a person named."""
    return GpuInventory(ids=tuple(ids))


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _refusal(detail: str) -> RuntimeRefused:
    return RuntimeRefused(
        Reason.GPU_UNAVAILABLE, sentence(Reason.GPU_UNAVAILABLE, detail[0].upper() + detail[1:])
    )
