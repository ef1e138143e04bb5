"""One step of runs after anything about them changed: fold, move, wake whoever waits.

Every use case that changes a party run ends here, inside its own transaction and with the runs
locked, so that a run's status, its desired side and its party runs never disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flow_contract.lifecycle import Desired, RunStatus
from flow_contract.reasons import Reason
from flow_server.domain.endings import stop_message
from flow_server.domain.fold import RunFacts, Tally, fold
from flow_server.domain.retries import retry_after_s
from flow_server.storage import losses, party_runs, retries, run_moves
from flow_server.storage.database import Connection
from flow_server.storage.run_moves import Move
from flow_server.storage.runs import LockedRun

_FAILED_ALREADY = frozenset({Reason.START_ROLLED_BACK, Reason.PEER_FAILED})


async def settle(
    connection: Connection,
    locked: Sequence[LockedRun],
    tallies: Mapping[str, Tally] | None = None,
) -> None:
    """Move each run to what its party runs now amount to, and send the wake-ups.

    `tallies` are asked for where the caller doesn't know them.
    """
    if not locked:
        return
    if tallies is None:
        tallies = await party_runs.tallies(connection, [run.run_id for run in locked])
    moves = []
    for run in locked:
        facts = fold(run.facts, tallies[run.run_id])
        if facts == run.facts:
            continue
        message = await _message(connection, run, facts)
        again_s = (
            await _retry_after_s(connection, run) if facts.status is RunStatus.FAILED else None
        )
        moves.append(Move(run=run, facts=facts, message=message, retry_after_s=again_s))
    await run_moves.move_runs(connection, moves, observed=[run.task_id for run in locked])


async def stop(connection: Connection, run: LockedRun, cause: Reason) -> None:
    """Want a locked run stopped, with the wake-ups; its party runs follow as they report."""
    facts = replace(run.facts, desired=Desired.STOPPED, cause=cause)
    await run_moves.move_runs(connection, [Move(run=run, facts=facts)], observed=[run.task_id])


async def _retry_after_s(connection: Connection, run: LockedRun) -> float | None:
    policy, retries_made = await retries.policy_of(connection, run.run_id)
    if retries_made >= policy.max_retries:
        return None
    ends = await retries.ends_of(connection, run.run_id)
    return retry_after_s(
        policy, retries_made=retries_made, ends=ends, coordination=run.facts.coordination
    )


async def _message(connection: Connection, run: LockedRun, facts: RunFacts) -> str:
    # Who is to blame is known before the others have ended.
    if facts.status is RunStatus.FAILED or facts.cause in _FAILED_ALREADY:
        return await party_runs.culprit(connection, run.run_id, facts.coordination)
    if facts.status is RunStatus.CANCELLED:
        return stop_message(await losses.given_up(connection, run.run_id))
    return ""
