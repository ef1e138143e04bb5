"""How `fedflow` ends: one number per kind of end, the same for every command.

`docs/cli.md` holds the same table; a test compares the two.
"""

import enum
from collections.abc import Iterable
from typing import IO, Any

import click

from flow_contract import errors
from flow_contract.lifecycle import RunStatus
from flow_contract.reasons import Reason, known
from flow_server_sdk.cli.members import members_of


class Exit(enum.IntEnum):
    """An exit code. Below 10: how the command itself went; from 10: how the run went."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNREACHABLE = 5
    CONFLICT = 6
    FAILED = 10
    REFUSED = 11
    LOST = 12
    TIMED_OUT = 13
    STOPPED = 14
    STILL_RUNNING = 15
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "it worked; with `--wait` or `--watch`: the run succeeded",
    Exit.ERROR: "anything that has no number of its own; the message says what",
    Exit.USAGE: "the command line, a file or a value can't be used as it is",
    Exit.NOT_FOUND: "no such task, template, party, run, output, user, token or webhook",
    Exit.NOT_ALLOWED: "the server doesn't know who you are, or doesn't allow it",
    Exit.UNREACHABLE: "the server can't be reached or can't answer now",
    Exit.CONFLICT: "the name is taken, or it does not fit the present state: a task that is active",
    Exit.FAILED: "the run failed: a workload ended badly",
    Exit.REFUSED: "the run was refused: a site does not allow it, lacks something or was not there",
    Exit.LOST: "a site was lost, and nobody knows how its share ended",
    Exit.TIMED_OUT: "the run was ended by a time limit of the template or of a site",
    Exit.STOPPED: "the run was stopped",
    Exit.STILL_RUNNING: "`--timeout` is over and the run goes on, or more outputs are to come",
    Exit.INTERRUPTED: "Ctrl-C: nobody watches any more; the run goes on",
}

# The first class that an error belongs to.
_OF_ERRORS: tuple[tuple[type[errors.FlowError], Exit], ...] = (
    (errors.InvalidArgument, Exit.USAGE),
    (errors.TooLarge, Exit.USAGE),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.PartyUnavailable, Exit.NOT_FOUND),
    (errors.AlreadyExists, Exit.CONFLICT),
    (errors.Conflict, Exit.CONFLICT),
    (errors.StaleLease, Exit.CONFLICT),
    (errors.Unauthenticated, Exit.NOT_ALLOWED),
    (errors.Forbidden, Exit.NOT_ALLOWED),
    (errors.Unavailable, Exit.UNREACHABLE),
)

# What a party's reason makes of a run that failed. Reasons that only follow from another
# party's are not in it.
OF_REASONS: dict[Reason, Exit] = {
    Reason.EXIT_NONZERO: Exit.FAILED,
    Reason.KILLED_BY_SIGNAL: Exit.FAILED,
    Reason.OOM_KILLED: Exit.FAILED,
    Reason.COMMAND_NOT_FOUND: Exit.FAILED,
    Reason.IMAGE_PULL_FAILED: Exit.FAILED,
    Reason.WORKLOAD_VANISHED: Exit.FAILED,
    Reason.RUNTIME_ERROR: Exit.FAILED,
    Reason.TIMED_OUT: Exit.TIMED_OUT,
    Reason.START_TIMED_OUT: Exit.TIMED_OUT,
    Reason.IMAGE_NOT_FOUND: Exit.REFUSED,
    Reason.GPU_UNAVAILABLE: Exit.REFUSED,
    Reason.RESOURCES_UNAVAILABLE: Exit.REFUSED,
    Reason.DATA_UNKNOWN: Exit.REFUSED,
    Reason.DATA_OUTSIDE_ROOTS: Exit.REFUSED,
    Reason.POLICY_DENIED: Exit.REFUSED,
    Reason.PARTY_UNKNOWN: Exit.REFUSED,
    Reason.PARTY_OFFLINE: Exit.REFUSED,
    Reason.PARTY_DRAINING: Exit.REFUSED,
    Reason.NO_COORDINATING_AGENT: Exit.REFUSED,
    Reason.PLACEHOLDER_UNKNOWN: Exit.REFUSED,
    Reason.COORDINATOR_UNREACHABLE: Exit.TIMED_OUT,
    Reason.SITE_DISCONNECTED: Exit.LOST,
    Reason.LEASE_EXPIRED: Exit.LOST,
    Reason.GIVEN_UP: Exit.LOST,
}

# Of several members' the first: a refusal keeps all from running, a failure makes others wait.
_WORST = (Exit.REFUSED, Exit.FAILED, Exit.LOST, Exit.TIMED_OUT)


class CommandFailed(click.ClickException):
    """One sentence for stderr, and the code that the command ends with."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads it from the instance


class Ended(CommandFailed):
    """An end that says all by itself: its text is written without "Error: " before it."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the text to stderr."""
        click.echo(self.message, file=file, err=file is None)


def of_error(kind: type[errors.FlowError] | None) -> Exit:
    """Return the code for an error of the catalogue, ERROR for what is not in it."""
    if kind is None:
        return Exit.ERROR
    return next((code for known, code in _OF_ERRORS if issubclass(kind, known)), Exit.ERROR)


def of_task(task: dict[str, Any]) -> Exit:
    """Return the code for a task whose run has ended, or was last seen as it is here."""
    match task["status"]:
        case RunStatus.SUCCEEDED:
            return Exit.OK
        case RunStatus.FAILED:
            return _of_members(members_of(task))
        case RunStatus.CANCELLED:
            found = _of_members(members_of(task))
            return Exit.LOST if found is Exit.LOST else Exit.STOPPED
        case RunStatus.UNKNOWN:
            return Exit.LOST
        case _:
            return Exit.STILL_RUNNING


def _of_members(members: Iterable[dict[str, Any]]) -> Exit:
    found = {OF_REASONS.get(known(member["reason"])) for member in members}
    return next((code for code in _WORST if code in found), Exit.FAILED)
