"""Notices without polling that a supervisor has ended: one pidfd each, read by the loop."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from party_agent.runtime.process_state import is_alive


class Watches:
    """Calls `ended` once for each supervisor watched, on the loop, soon after its end."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._supervisors: dict[str, int] = {}
        self._children: set[int] = set()

    def watch(self, party_run_id: str, claim: dict[str, Any]) -> None:
        """Watch the supervisor that wrote `claim`; again is fine."""
        if party_run_id in self._supervisors:
            return
        loop = asyncio.get_running_loop()
        try:
            handle = os.pidfd_open(claim["pid"])
        except ProcessLookupError:
            loop.call_soon(self._ended, party_run_id)
            return
        # Asked after it was opened: a stranger of the same number can't be mistaken for it.
        if not is_alive(claim):
            os.close(handle)
            loop.call_soon(self._ended, party_run_id)
            return
        self._supervisors[party_run_id] = handle
        loop.add_reader(handle, self._on_end, party_run_id)

    def reap(self, pid: int) -> None:
        """See to it that the child `pid` leaves no zombie."""
        handle = os.pidfd_open(pid)
        self._children.add(handle)
        asyncio.get_running_loop().add_reader(handle, self._on_child_end, handle)

    def send(self, party_run_id: str, signum: signal.Signals) -> None:
        """Signal a watched supervisor; one that has ended is left alone."""
        handle = self._supervisors.get(party_run_id)
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signum)

    def close(self) -> None:
        """Watch nothing any more. May be called twice."""
        for handle in (*self._supervisors.values(), *self._children):
            _let_go(handle)
        self._supervisors.clear()
        self._children.clear()

    def _on_end(self, party_run_id: str) -> None:
        _let_go(self._supervisors.pop(party_run_id))
        self._ended(party_run_id)

    def _on_child_end(self, handle: int) -> None:
        self._children.discard(handle)
        _let_go(handle)


def _let_go(handle: int) -> None:
    asyncio.get_running_loop().remove_reader(handle)
    # A supervisor of an earlier agent is init's child, and not ours to reap.
    with suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    os.close(handle)
