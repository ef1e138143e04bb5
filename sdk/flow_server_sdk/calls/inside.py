"""What `sdk.task` tells of the inside of runs: logs, events, metrics, outputs."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from flow_server_sdk.calls.surface import R, Surface
from flow_server_sdk.measuring import metrics
from flow_server_sdk.outputs import Asked, Listener, asked, download, outputs
from flow_server_sdk.reading import log_request, read_lines
from flow_server_sdk.scripts import Items, Link, Script
from flow_server_sdk.watching import watch_task

L = TypeVar("L")
E = TypeVar("E")


class InsideCalls(Surface[R], Generic[R, L, E]):
    """See inside a run, while it goes on and afterwards.

    A party is named by its id, the run's coordinator as `coordinator`, wherever that is.
    """

    def __init__(
        self, run: Callable[[Script], R], link: Link, iterate: Callable[[Items], Any]
    ) -> None:
        super().__init__(run, link)
        self._iterate = iterate

    def logs(
        self,
        task_id: str,
        *,
        party: str | Sequence[str] | None = None,
        follow: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        run_id: str = "",
    ) -> L:
        """Iterate over the lines that the workloads wrote, in the order of time over all parties.

        Each is a LogLine: party, stream, at, text, raw. `party` leaves one's or some parties'
        only, `since` what came from then on (aware), `tail` the last lines of each party.
        `run_id` "" means the newest run. With `follow` lines come as they are written, until the
        run is over; a lost connection is taken up again without a hole or a repeat.

        Raises:
            InvalidArgument: here; while iterating NotFound (no such task, run or party), Conflict
                (it was never started), and what any call raises.
        """
        request = log_request(
            task_id, party=party, run_id=run_id, follow=follow, since=since, tail=tail
        )
        lines: L = self._iterate(read_lines(request, self._link))
        return lines

    def watch(self, task_id: str, *, run_id: str = "") -> E:
        """Iterate over the events of a run, from its first on, until it has ended.

        Each is an Event as in `sdk.event.watch`: of the run and of its parties' shares. `run_id`
        "" means the newest run. A run that failed and is retried has not ended: its retry's
        events follow. The task's deletion ends it too. A lost connection is taken up again.

        Raises:
            NotFound, Conflict (never started), and what any call raises, while iterating.
        """
        events: E = self._iterate(watch_task(task_id, run_id, self._link))
        return events

    def metrics(
        self,
        task_id: str,
        *,
        party: str | None = None,
        name: str | None = None,
        run_id: str | None = None,
        after: str | None = None,
    ) -> R:
        """Return data.points of what the workloads measured, party by party, as reported.

        Each is {"party", "name", "step", "value", "time"}; `time` is seconds since 1970 by the
        site's clock. None means all parties, all names, the newest run. `after` "2.150" leaves
        out what comes before the party of rank 2 and that party's first 150 points. data.dropped
        says per party how many points never came, data.withheld of the parties whose sites keep
        points there which rule does.
        """
        return self._run(metrics(task_id, run_id, party, name, after, self._link))

    def outputs(
        self,
        task_id: str,
        *,
        run_id: str | None = None,
        party: str | Sequence[str] | None = None,
        parties_only: bool = False,
    ) -> R:
        """Return data.files that can be downloaded, and data.parties, how far each one is.

        Of a party `complete` says that nothing follows, `coming` what is on its way, `withheld`
        which rule of its site kept something back, `skipped` what else did not leave, and why.
        `parties_only` leaves data.files empty, for who asks often.
        """
        return self._run(outputs(task_id, run_id, party, parties_only, self._link))

    def download(
        self,
        task_id: str,
        to: str | Path,
        *,
        party: str | Sequence[str] | None = None,
        name: str | Sequence[str] | None = None,
        run_id: str | None = None,
        overwrite: bool = False,
        on_progress: Listener | None = None,
    ) -> R:
        """Bring files down to `<to>/<party>/<name>`; data.files says where each lies (`path`).

        Each is there whole, with the right SHA-256, or not at all; the next call takes a cut one
        up. Another file in its place stays unless `overwrite`, and nothing is written outside of
        `to`. `on_progress` hears of each file with its `downloaded_bytes`.

        Raises:
            OSError: this machine's disk refuses.
        """

        def what() -> Asked:
            return asked(task_id, run_id=run_id, party=party, name=name)

        return self._run(download(what, to, overwrite, on_progress, self._link))
