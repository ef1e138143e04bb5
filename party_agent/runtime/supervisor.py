"""Runs one workload as its child and writes down how it ended; outlives the agent.

Started as `python -I -S supervisor.py FOLDER` in a session of its own; standard library only,
because it may run when nothing else of Fedflow does. FOLDER is the party run's scratch
directory; `spec.json` in it says what to run. In order: take the lock, write `claim.json`,
start the child, write `started.json`, give up the lock, wait, write `ended.json`.

Invariant: the claim is written before the child's first instruction and never removed, so
whoever comes second starts nothing. One line on stdout tells the agent that the start phase
is over; what came of it stands in the files.

SIGTERM is passed on to the child's process group, SIGUSR1 kills it. If this process dies, the
kernel kills the child; when the child ends, everything that descends from it is killed.
"""

import contextlib
import ctypes
import errno
import fcntl
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

LOCK = "lock"
SPEC = "spec.json"
CLAIM = "claim.json"
STARTED = "started.json"
ENDED = "ended.json"
STOPPED = "stopped.json"

KILL_SIGNAL = signal.SIGUSR1
NOT_FOUND_CODE = 127
# For what the workload wrote before its end and nobody has read yet.
_LAST_WORDS_S = 10.0
NOT_EXECUTABLE_CODE = 126

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, KILL_SIGNAL}


def write_record(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Write `record` durably; a reader sees all of it or nothing."""
    draft = folder / f".{name}.{os.getpid()}"
    with draft.open("w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / name)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def process_ids() -> list[int]:
    """Return the pid of every process that there is."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def process_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: [0] state, [1] parent, [19] start.

    Raises:
        OSError: there is no such process.
    """
    # The name before them may hold spaces and brackets.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def start_ticks(pid: int) -> int:
    """Return when `pid` started, in ticks since boot; with the boot id it never repeats.

    Raises:
        OSError: there is no such process.
    """
    return int(process_stat(pid)[19])


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def main(folder: Path) -> None:
    """Supervise the workload of `folder` unless somebody did before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    os.chdir("/")
    # The agent's sockets would stay open with us after its death.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    child, started_at, capture = _start_once(folder)
    _say("the start phase is over")
    if child is None:
        return
    exit_code = _wait(child)
    finished_at = max(started_at, time.time())
    _kill_descendants(child)
    if capture is not None:
        capture.finish(within_s=_LAST_WORDS_S)
    record = {"exit_code": exit_code, "started_at": started_at, "finished_at": finished_at}
    # A scratch directory that somebody deleted leaves nobody to tell.
    with contextlib.suppress(FileNotFoundError):
        write_record(folder, ENDED, record)


def _start_once(folder: Path) -> tuple[int | None, float, Any]:
    """Start the child and return its pid, or None if there is nothing to supervise."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, 0.0, None
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        if _is_taken(folder, lock):
            return None, 0.0, None
        spec = json.loads((folder / SPEC).read_text())
        own_pid = os.getpid()
        claim = {"pid": own_pid, "start_ticks": start_ticks(own_pid), "boot_id": boot_id()}
        write_record(folder, CLAIM, claim)
        started_at = time.time()
        try:
            capture = _capture_of(spec)
            child = _spawn(spec, capture)
        except OSError as problem:
            missing = problem.errno in (errno.ENOENT, errno.ENOTDIR)
            code = NOT_FOUND_CODE if missing else NOT_EXECUTABLE_CODE
            record = {"exit_code": code, "finished_at": time.time(), "error": problem.strerror}
            write_record(folder, ENDED, record)
            return None, started_at, None
        write_record(folder, STARTED, {"pid": child, "started_at": started_at})
        if capture is not None:
            capture.start()
        return child, started_at, capture
    finally:
        # Said aloud: the child's copy of the descriptor would keep the lock until its exec.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _is_taken(folder: Path, lock: int) -> bool:
    try:
        removed = os.fstat(lock).st_ino != (folder / LOCK).stat().st_ino
    except FileNotFoundError:
        removed = True
    return removed or any((folder / name).exists() for name in (CLAIM, ENDED, STOPPED))


def _capture_of(spec: dict[str, Any]) -> Any:
    if spec.get("log") is None:
        return None
    # By its path: this file runs where no package of ours can be imported.
    beside = importlib.util.spec_from_file_location(
        "log_capture", Path(__file__).with_name("log_capture.py")
    )
    if beside is None or beside.loader is None:
        raise FileNotFoundError(errno.ENOENT, "log_capture.py")
    module = importlib.util.module_from_spec(beside)
    beside.loader.exec_module(module)
    return module.capture_of(spec)


def _spawn(spec: dict[str, Any], capture: Any) -> int:
    """Return the pid of the child once its program runs.

    Raises:
        OSError: it can't be run; there is no child then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parent = os.getpid()
    problem_read, problem_write = os.pipe()
    child = os.fork()
    if child == 0:
        _become_workload(spec, capture, libc, parent, problem_write)
    os.close(problem_write)
    with os.fdopen(problem_read) as pipe:
        problem = pipe.read()
    if problem:
        os.waitpid(child, 0)
        raise OSError(int(problem), os.strerror(int(problem)))
    return child


def _become_workload(
    spec: dict[str, Any], capture: Any, libc: ctypes.CDLL, parent: int, problem_write: int
) -> NoReturn:
    try:
        os.setsid()
        _redirect(spec, capture)
        os.chdir(spec["cwd"])
        _limit(spec["memory_bytes"])
        _become(spec.get("user"))
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Only now: the kernel forgets it when a process becomes another user.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(NOT_EXECUTABLE_CODE)
        # What Python changed for itself, and what an exec would hand on.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(spec["command"][0], spec["command"], spec["env"])  # noqa: S606 - its purpose
    except OSError as problem:
        os.write(problem_write, str(problem.errno).encode())
    finally:
        # Only ever reached when the exec failed; the supervisor's code must not go on here.
        os._exit(NOT_EXECUTABLE_CODE)


def _become(user: dict[str, Any] | None) -> None:
    if user is not None:
        os.setgroups(user["groups"])
        os.setresgid(user["gid"], user["gid"], user["gid"])
        os.setresuid(user["uid"], user["uid"], user["uid"])


def _redirect(spec: dict[str, Any], capture: Any) -> None:
    files = [(os.devnull, os.O_RDONLY, 0)]
    if capture is not None:
        capture.enter_child()
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files += [(spec["stdout"], flags, 1), (spec["stderr"], flags, 2)]
    for name, flags, target in files:
        descriptor = os.open(name, flags, 0o600)
        os.dup2(descriptor, target)


def _limit(memory_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _wait(child: int) -> int:
    """Pass signals on until the child has ended; return its code, leaving it unreaped."""
    while True:
        received = signal.sigwait(_HANDLED)
        if received == KILL_SIGNAL:
            _signal_group(child, signal.SIGKILL)
        elif received == signal.SIGCHLD:
            ended = _reap_others(child)
            if ended is not None:
                exited = ended.si_code == os.CLD_EXITED
                return ended.si_status if exited else 128 + ended.si_status
        else:
            _signal_group(child, signal.SIGTERM)


def _reap_others(child: int) -> os.waitid_result | None:
    """Reap adopted orphans; return the child's own end if that is among what ended."""
    while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if ended.si_pid == child:
            return ended
        os.waitpid(ended.si_pid, 0)
    return None


def _kill_descendants(child: int) -> None:
    # The unreaped child keeps its number from being given to a stranger.
    _signal_group(child, signal.SIGKILL)
    own_pid = str(os.getpid())
    while True:
        for pid in process_ids():
            with contextlib.suppress(OSError):
                if process_stat(pid)[1] == own_pid:
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _signal_group(child: int, signum: signal.Signals) -> None:
    # A workload that became another user may not be ours to signal; wait for its end then.
    with contextlib.suppress(PermissionError):
        os.killpg(child, signum)


def _say(text: str) -> None:
    # An agent that is gone reads the files when it is back.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, text.encode())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
