"""Whether the template's limits and the drains were obeyed, from the rows and the faults' times."""

from datetime import timedelta
from typing import Any

from tests.chaos.place import PARTIES
from tests.chaos.schedule import Harm, Schedule
from tests.chaos.toll import Toll
from tests.chaos.widening import CUT_OFF_S
from tests.chaos.workload import STOP_GRACE_S

# For a busy machine: to see that a limit is over, and to end what ignores its signal.
_SLACK_S = 15.0
# A clock that is read twice.
_TICK_S = 0.5
_HURTS_A_SITE = ("agent", "engine", "workload")


def limit_findings(row: Any, schedule: Schedule, toll: Toll) -> list[str]:
    """Return what is wrong with one party run's end, as far as time goes."""
    who = f"party run {row['party_run_id']} of {row['federated_id']}"
    started, finished, reason = row["started_at"], row["finished_at"], row["reason"]
    timeout_s, stop_after_s = schedule.limits.run_timeout_s, schedule.limits.stop_after_s
    findings = []
    if reason == "timed_out" and timeout_s is None:
        findings.append(f"{who} timed out, and had all the time")
    if reason == "site_disconnected" and (stop_after_s is None or not toll.strikes):
        findings.append(f"{who} was stopped by its site, which had no cause")
    if started is None or finished is None:
        return findings
    took_s = (finished - started).total_seconds()
    if timeout_s is not None:
        hurt_s = sum((strike.until - strike.since).total_seconds() for strike in toll.strikes)
        if took_s > timeout_s + STOP_GRACE_S + hurt_s + _SLACK_S:
            findings.append(f"{who} ran for {took_s:.1f} s, it had {timeout_s}")
        if reason == "timed_out" and took_s < timeout_s - _TICK_S:
            findings.append(f"{who} timed out after {took_s:.1f} s of {timeout_s}")
    if stop_after_s is not None:
        findings += _outlived(who, row, stop_after_s, toll)
    return findings


def _outlived(who: str, row: Any, stop_after_s: int, toll: Toll) -> list[str]:
    """Return whether it ran on at a site that was cut off, knew it, and was not hurt besides."""
    number = PARTIES.index(row["federated_id"])
    if any(strike.fault.part.startswith(_HURTS_A_SITE) for strike in toll.strikes):
        return []
    return [
        f"{who} ran until {row['finished_at']}, its site was cut off at {strike.since}"
        f" and had {stop_after_s} s"
        for strike in toll.strikes
        if strike.fault.part == f"link-{number}"
        and strike.fault.harm is Harm.RESET
        and strike.until - strike.since >= timedelta(seconds=stop_after_s + CUT_OFF_S)
        and row["started_at"] < strike.since
        and row["finished_at"] > strike.until
    ]


def drain_findings(row: Any, toll: Toll) -> list[str]:
    """Return whether a party run was taken on by a party that its server drained."""
    return [
        f"party run {row['party_run_id']} was made at {row['created_at']} and is {row['state']}"
        f" ({row['reason']}), and {row['federated_id']} was drained since {drained.since}"
        for drained in toll.drained
        if drained.fault.part == f"party-{PARTIES.index(row['federated_id'])}"
        and drained.since < row["created_at"] < drained.until
        and (row["state"], row["reason"]) != ("refused", "party_draining")
    ]
