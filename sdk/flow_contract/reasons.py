"""Why a party run is where it is: one code per cause, with a sentence a person can act on.

States are few and say how far it got; reasons say why. A reader at another site can't log
in, so every sentence says what happened and what to do next.
"""

import enum


class Reason(enum.StrEnum):
    """Cause of a wait or of a final state."""

    NONE = "none"
    # waits
    WAITING_FOR_CONNECTION = "waiting_for_connection"
    WAITING_FOR_GPU = "waiting_for_gpu"
    PULLING_IMAGE = "pulling_image"
    WAITING_FOR_COORDINATOR = "waiting_for_coordinator"
    # ends that the workload brought about
    COMPLETED = "completed"
    EXIT_NONZERO = "exit_nonzero"
    KILLED_BY_SIGNAL = "killed_by_signal"
    OOM_KILLED = "oom_killed"
    TIMED_OUT = "timed_out"
    COMMAND_NOT_FOUND = "command_not_found"
    # ends before it ran
    PLACEHOLDER_UNKNOWN = "placeholder_unknown"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_PULL_FAILED = "image_pull_failed"
    GPU_UNAVAILABLE = "gpu_unavailable"
    RESOURCES_UNAVAILABLE = "resources_unavailable"
    DATA_UNKNOWN = "data_unknown"
    DATA_OUTSIDE_ROOTS = "data_outside_roots"
    POLICY_DENIED = "policy_denied"
    PARTY_UNKNOWN = "party_unknown"
    PARTY_OFFLINE = "party_offline"
    PARTY_DRAINING = "party_draining"
    NO_COORDINATING_AGENT = "no_coordinating_agent"
    START_TIMED_OUT = "start_timed_out"
    START_ROLLED_BACK = "start_rolled_back"
    COORDINATOR_UNREACHABLE = "coordinator_unreachable"
    # ends from outside
    STOPPED_BY_USER = "stopped_by_user"
    PARTIES_ENDED = "parties_ended"
    COORDINATOR_ENDED = "coordinator_ended"
    PEER_FAILED = "peer_failed"
    SITE_DISCONNECTED = "site_disconnected"
    LEASE_EXPIRED = "lease_expired"
    GIVEN_UP = "given_up"
    WORKLOAD_VANISHED = "workload_vanished"
    RUNTIME_ERROR = "runtime_error"


SENTENCES: dict[Reason, str] = {
    Reason.NONE: "",
    Reason.WAITING_FOR_CONNECTION: "Waiting for the party's agent to connect.",
    Reason.WAITING_FOR_GPU: "Waiting for GPUs that other runs hold.",
    Reason.PULLING_IMAGE: "Pulling the image.",
    Reason.WAITING_FOR_COORDINATOR: "Waiting for the run's coordinator to listen.",
    Reason.COMPLETED: "The workload ended by itself with exit code 0.",
    Reason.EXIT_NONZERO: (
        "The workload ended with a non-zero exit code; read its own output for the cause."
    ),
    Reason.KILLED_BY_SIGNAL: (
        "The workload was killed by a signal that Fedflow did not send; ask the site who ended it."
    ),
    Reason.OOM_KILLED: (
        "The workload used more memory than it may; raise resources.memory_bytes or use less."
    ),
    Reason.TIMED_OUT: (
        "The workload ran longer than the template's run_timeout_s or the site's rule "
        "limits.max_run_time_s and was stopped; raise the limit, or do less."
    ),
    Reason.COMMAND_NOT_FOUND: (
        "The image does not hold the command, or it is not executable; check the template's "
        "command and workdir."
    ),
    Reason.PLACEHOLDER_UNKNOWN: (
        "The template's command or environment asks for something that this run does not have; "
        "check its placeholders, and what the run was started with."
    ),
    Reason.IMAGE_NOT_FOUND: (
        "The site has no such image and can't pull it; check the name and tag, or ask the "
        "site to load it."
    ),
    Reason.IMAGE_PULL_FAILED: (
        "The site could not pull the image, perhaps because its registry is unreachable; try "
        "again, or ask the site to load the image."
    ),
    Reason.GPU_UNAVAILABLE: (
        "The site does not have the GPUs that the template asks for; ask for fewer or name others."
    ),
    Reason.RESOURCES_UNAVAILABLE: (
        "The site is smaller than the template's resources; ask for less."
    ),
    Reason.DATA_UNKNOWN: "The site has no data under this name; ask it for the names it offers.",
    Reason.DATA_OUTSIDE_ROOTS: (
        "The path lies outside the data that the site offers; use a name that the site lists."
    ),
    Reason.POLICY_DENIED: (
        "The site's policy does not allow this; ask the site to change the rule, or leave out"
        " what it forbids."
    ),
    Reason.PARTY_UNKNOWN: (
        "No party of this id has ever connected to the server; check the spelling."
    ),
    Reason.PARTY_OFFLINE: (
        "The party's agent did not connect before the start deadline; ask the site to start it."
    ),
    Reason.PARTY_DRAINING: (
        "The party takes no new work at present; ask the site when it will, and start again then."
    ),
    Reason.NO_COORDINATING_AGENT: (
        "The template names no party for its coordinator, and no agent that was started to "
        "coordinate takes new work; start one with `fedflow agent --coordinator`, or name a party "
        "in coordinator.party."
    ),
    Reason.START_TIMED_OUT: (
        "Not every party was ready before the deadline, so nothing was started anywhere; see "
        "the other parties' reasons, then start again."
    ),
    Reason.START_ROLLED_BACK: (
        "Nothing was started here because another party of the run could not take part; see "
        "that party's reason."
    ),
    Reason.COORDINATOR_UNREACHABLE: (
        "The run's coordinator did not listen within the template's connect_timeout_s; see the "
        "coordinator's own log and reason, or allow it more time."
    ),
    Reason.STOPPED_BY_USER: "Stopped on request.",
    Reason.PARTIES_ENDED: "All parties have ended, so the coordinator was stopped.",
    Reason.COORDINATOR_ENDED: "The run's coordinator has ended, so the party was stopped.",
    Reason.PEER_FAILED: (
        "Another member of the run failed, and this one could not have gone on without it; see "
        "that one's reason."
    ),
    Reason.SITE_DISCONNECTED: (
        "The site lost the server for longer than the template's on_disconnect allows and stopped "
        "the workload by itself; start again when the site is back."
    ),
    Reason.LEASE_EXPIRED: (
        "The party's agent has not been heard from and the workload may still be running "
        "there; wait for its return, or ask the site to look."
    ),
    Reason.GIVEN_UP: (
        "The site did not come back and was given up on request: what ran there may still run "
        "until it reconnects, and is stopped then; ask the site to look."
    ),
    Reason.WORKLOAD_VANISHED: (
        "The workload disappeared without an exit code, as when somebody removes it by hand; "
        "ask the site what happened, then start again."
    ),
    Reason.RUNTIME_ERROR: (
        "The site's container runtime reported an error; ask the site to look at its agent's log."
    ),
}


def known(code: str) -> Reason:
    """Return the reason of this code; one that newer code invented reads as a runtime error."""
    try:
        return Reason(code)
    except ValueError:
        return Reason.RUNTIME_ERROR


def sentence(reason: Reason, detail: str = "") -> str:
    """Return the reason's sentence, with the site's own detail in front where there is one."""
    return f"{detail.rstrip('.')}. {SENTENCES[reason]}".strip() if detail else SENTENCES[reason]


# Faults of the infrastructure: the same run may well succeed at another time.
INFRASTRUCTURE: frozenset[Reason] = frozenset(
    {
        Reason.IMAGE_PULL_FAILED,
        Reason.PARTY_OFFLINE,
        Reason.START_TIMED_OUT,
        # Also where its coordinator was to blame: then that one's own reason counts as well.
        Reason.COORDINATOR_UNREACHABLE,
        Reason.SITE_DISCONNECTED,
        Reason.WORKLOAD_VANISHED,
        Reason.RUNTIME_ERROR,
    }
)
