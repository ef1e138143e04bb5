"""An agent's kill -9 with a running workload, beside an agent's start with nothing to adopt."""

import contextlib
import sys
import time
import uuid
from pathlib import Path

from bench import proc
from bench.figures import median, spread_ms
from bench.flows import data_of, make_task, stop
from bench.processes import BenchError, Child, Server, child, fedflow
from bench.table import Row
from flow_contract.lifecycle import PartyRunState
from flow_server_sdk import FlowServerSdk

IMAGE = f"fedflow-python:{sys.version_info.major}.{sys.version_info.minor}"
COMMAND = ("sleep", "600")
RUNTIMES = ("process", "docker")
REPETITIONS = 5
POLL_S = 0.005
READY_S = 60.0


def measure(server: Server, folder: Path) -> list[Row]:
    """Return one row for each runtime."""
    return [_row(server, folder, runtime) for runtime in RUNTIMES]


def _row(server: Server, folder: Path, runtime: str) -> Row:
    party = f"adopt-{uuid.uuid4().hex[:8]}"
    adopted: list[float] = []
    fresh: list[float] = []
    with contextlib.ExitStack() as stack:
        sdk = stack.enter_context(FlowServerSdk(server.host, server.port))
        agent, _ = _start(stack, server, folder, party, runtime)
        task_id = make_task(sdk, image=IMAGE, command=COMMAND, parties=[party])
        data_of(sdk.task.start(task_id))
        _wait_until_running(sdk, task_id)
        for number in range(REPETITIONS):
            agent.kill()
            proc.wait_until_quiet()
            agent, took_s = _start(stack, server, folder, party, runtime)
            _wait_until_running(sdk, task_id)
            adopted.append(took_s)
            proc.wait_until_quiet()
            with contextlib.ExitStack() as soon:
                _, took_s = _start(soon, server, folder, f"{party}-{number}", runtime)
            fresh.append(took_s)
        stop(sdk, task_id)
    return Row(
        measure=f"agent's kill -9 and start, {runtime}: workload adopted",
        value=spread_ms(adopted),
        reference=f"start of an agent with nothing to adopt: {spread_ms(fresh)}",
        ratio=median(adopted) / median(fresh),
    )


def _start(
    stack: contextlib.ExitStack, server: Server, folder: Path, party: str, runtime: str
) -> tuple[Child, float]:
    """Start an agent; return it and the seconds until the server's assignments were in force.

    By then each unit of the journal is held and has been told to the server.
    """
    ready_file = folder / f"{party}.json"
    ready_file.unlink(missing_ok=True)
    arguments = [*fedflow(), "agent", "--insecure", "--server", server.address, "--party", party]
    arguments += ["--runtime", runtime, "--on-exit", "stop", "--warm-sandboxes", "0"]
    arguments += ["--state-dir", str(folder / party), "--ready-file", str(ready_file)]
    began_s = time.monotonic()
    agent = child(stack, party, arguments, folder)
    while not ready_file.exists():
        if time.monotonic() > began_s + READY_S:
            raise BenchError(f"{party} was not ready after {READY_S:.0f} s")
        time.sleep(POLL_S)
    return agent, time.monotonic() - began_s


def _wait_until_running(sdk: FlowServerSdk, task_id: str) -> None:
    """Return when the task's one party runs. Raises BenchError when it has ended."""
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        (party,) = data_of(sdk.task.get(task_id))["party_status"]
        if party["state"] == PartyRunState.RUNNING:
            return
        if party["state"] in (PartyRunState.FAILED, PartyRunState.LOST, PartyRunState.STOPPED):
            raise BenchError(f"the workload ended: {party}")
        time.sleep(POLL_S)
    raise BenchError(f"the workload did not run after {READY_S:.0f} s")
