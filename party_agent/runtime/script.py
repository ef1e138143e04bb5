"""The little language in which a workload's command scripts the memory runtime.

    exit CODE [after SECONDS | on EVENT]   end by itself: at once, after a time, at an event
    die SIGNUM [after … | on …]            end by a signal
    vanish [after … | on …]                end with no exit code recorded, as after a crash
    run                                    run until stopped
    stubborn                               the same, but ignore SIGTERM
    missing                                a command that does not exist: launch is refused
    dump                                   write `env` and `pwd` into the output bind, exit 0

    hold ANY                               prepare waits for `MemoryState.let_prepare`
    refuse REASON [SENTENCE]               prepare is refused

Times are seconds. An event is a word that a test names in `MemoryState.fire`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from flow_contract.reasons import Reason


class End(StrEnum):
    """How a scripted workload ends."""

    EXIT = "exit"
    DIE = "die"
    VANISH = "vanish"
    RUN = "run"
    STUBBORN = "stubborn"
    MISSING = "missing"
    DUMP = "dump"


@dataclass(frozen=True, kw_only=True)
class Script:
    """One parsed command. `after_s` and `event` None mean at once; `exit_code` None, unknown."""

    end: End
    exit_code: int | None = None
    after_s: float | None = None
    event: str | None = None
    holds_prepare: bool = False
    refusal: Reason | None = None
    refusal_message: str = ""

    @property
    def ends_by_itself(self) -> bool:
        """Whether no stop is needed."""
        return self.end in (End.EXIT, End.DIE, End.VANISH, End.DUMP)


def parse(command: tuple[str, ...]) -> Script:  # noqa: PLR0911 - one per word
    """Return what `command` asks for; an empty one runs until stopped.

    Raises:
        ValueError: it is not in the language; the message says what was not understood.
    """
    match command:
        case ("hold", *rest):
            return replace(parse(tuple(rest)), holds_prepare=True)
        case ("refuse", reason):
            return Script(end=End.RUN, refusal=Reason(reason))
        case ("refuse", reason, message):
            return Script(end=End.RUN, refusal=Reason(reason), refusal_message=message)
        case ("exit", code, *when):
            return _timed(Script(end=End.EXIT, exit_code=int(code)), when)
        case ("die", signum, *when):
            return _timed(Script(end=End.DIE, exit_code=128 + int(signum)), when)
        case ("vanish", *when):
            return _timed(Script(end=End.VANISH), when)
        case ():
            return Script(end=End.RUN)
        case ("run" | "stubborn" | "missing" as word,):
            return Script(end=End(word))
        case ("dump",):
            return Script(end=End.DUMP, exit_code=0)
    raise ValueError(f"the memory runtime does not know the command {command!r}")


def _timed(script: Script, when: list[str]) -> Script:
    match when:
        case []:
            return script
        case ["after", seconds]:
            return replace(script, after_s=float(seconds))
        case ["on", event]:
            return replace(script, event=event)
    raise ValueError(f"the memory runtime does not know when {when!r} is")
