"""One step of runs after anything about them changed: fold, move, wake whoever waits.

Every use case that changes a party run ends here, inside its own transaction and with the runs
locked, so that a run's status, its desired side and its party runs never disagree.
"""

from collections.abc import Sequence
from dataclasses import replace

from flow_contract.lifecycle import Desired, RunStatus, is_final_status
from flow_contract.reasons import Reason
from flow_server.domain.fold import RunFacts, fold
from flow_server.storage import changes, party_runs, runs
from flow_server.storage.database import Connection
from flow_server.storage.runs import LockedRun


async def settle(connection: Connection, locked: Sequence[LockedRun]) -> None:
    """Move each run to what its party runs now amount to, and send the wake-ups."""
    if not locked:
        return
    tallies = await party_runs.tallies(connection, [run.run_id for run in locked])
    redirected: list[str] = []
    for run in locked:
        facts = fold(run.facts, tallies[run.run_id])
        if facts == run.facts:
            continue
        message = await _message(connection, run, facts)
        await runs.move_run(connection, run, facts, message=message)
        if facts.desired is not run.facts.desired:
            await redirect(connection, run.run_id, facts)
            redirected.append(run.run_id)
    if redirected:
        await changes.notify_desired(connection, redirected)
    await changes.notify_observed(connection, [run.task_id for run in locked])


async def stop(connection: Connection, run: LockedRun, cause: Reason) -> None:
    """Want a locked run stopped, with the wake-ups; its party runs follow as they report."""
    facts = replace(run.facts, desired=Desired.STOPPED, cause=cause)
    await runs.move_run(connection, run, facts, message="")
    await redirect(connection, run.run_id, facts)
    await changes.notify_desired(connection, [run.run_id])
    await changes.notify_observed(connection, [run.task_id])


async def redirect(connection: Connection, run_id: str, facts: RunFacts) -> None:
    """Give a run's unfinished party runs the run's own desired side."""
    sources = (
        (Desired.PREPARED,)
        if facts.desired is Desired.RUNNING
        else (Desired.PREPARED, Desired.RUNNING)
    )
    await party_runs.move_desired(
        connection, run_id, sources=sources, desired=facts.desired, cause=facts.cause
    )


async def _message(connection: Connection, run: LockedRun, facts: RunFacts) -> str:
    if facts.status is RunStatus.FAILED or facts.cause is Reason.START_ROLLED_BACK:
        return await party_runs.culprit(connection, run.run_id)
    if is_final_status(facts.status):
        return "Stopped on request." if facts.status is RunStatus.CANCELLED else ""
    return ""
