"""What a coordinator says of the parties: asked once a second while it has sockets."""

from collections.abc import Callable

from flow_contract.coordination import PeerProgress
from party_agent.aggregator_status import ask, has_status
from party_agent.clock import Clock
from party_agent.tasks import OwnedTasks
from party_agent.tunnel.run import Run

ASK_EVERY_S = 1.0


class Follower:
    """Asks; `changed` is called with the party run of whose peers there is news."""

    def __init__(self, *, clock: Clock, changed: Callable[[str], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._said: dict[str, tuple[PeerProgress, ...]] = {}
        self._runs: dict[str, Run] = {}
        self._tasks = OwnedTasks()

    def follow(self, run: Run) -> None:
        """Begin to ask, if there is anything to be asked for, until `forget`."""
        if has_status(run.spec):
            self._runs[run.party_run_id] = run
            self._tasks.own(self._ask_on(run))

    def said(self, party_run_id: str) -> tuple[PeerProgress, ...] | None:
        """Return the last that was said, None while nothing was."""
        return self._said.get(party_run_id)

    async def ask_now(self, party_run_id: str) -> None:
        """Ask once more, whatever the hour: it may be the last time."""
        run = self._runs.get(party_run_id)
        if run is not None:
            await self._ask(run)

    def forget(self, party_run_id: str) -> None:
        """Ask no more. May be called twice."""
        self._runs.pop(party_run_id, None)
        self._said.pop(party_run_id, None)

    async def aclose(self) -> None:
        """Ask nobody any more. May be called twice."""
        await self._tasks.aclose()

    async def _ask_on(self, run: Run) -> None:
        while self._runs.get(run.party_run_id) is run:
            await self._ask(run)
            await self._clock.sleep(ASK_EVERY_S)

    async def _ask(self, run: Run) -> None:
        said = await ask(run.sockets, run.spec.parties)
        is_news = said is not None and said != self._said.get(run.party_run_id)
        if said is not None and is_news and self._runs.get(run.party_run_id) is run:
            self._said[run.party_run_id] = said
            self._changed(run.party_run_id)
