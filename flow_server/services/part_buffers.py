"""Memory for parts on their way: bounded for all streams of a replica, and used again.

Taken from the system and not from the allocator, whose heaps grow by each large block that a
thread frees in another's.
"""

import asyncio
import mmap

from flow_contract.outputs import PART_BYTES

PARTS_IN_MEMORY = 32
_KEPT = 4


class PartBuffers:
    """Hands out buffers of one part each, `most` at a time."""

    def __init__(self, most: int = PARTS_IN_MEMORY) -> None:
        self._places = asyncio.Semaphore(most)
        self._free: list[mmap.mmap] = []

    async def take(self) -> mmap.mmap:
        """Return a buffer, once there is one; each is to be given back, or dropped."""
        await self._places.acquire()
        return self._free.pop() if self._free else mmap.mmap(-1, PART_BYTES)

    def give_back(self, buffer: mmap.mmap) -> None:
        """Take back a buffer that nobody reads any more."""
        if len(self._free) < _KEPT:
            self._free.append(buffer)
        self._places.release()

    def drop(self) -> None:
        """Take it that a buffer is not given back: somebody may still read it."""
        self._places.release()
