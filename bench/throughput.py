"""Sustained starts per second of single-party no-op tasks, beside what PostgreSQL can commit."""

import asyncio
import contextlib
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import asyncpg

from bench import proc
from bench.figures import median
from bench.flows import data_of
from bench.processes import BenchError, Child, Server, child
from bench.table import Row
from flow_contract.lifecycle import PartyRunState
from flow_server_sdk import AsyncFlowServerSdk

# Agents, and tasks in flight: each party starts again once its run has ended.
PARTIES = 32
ROUNDS = 2
STARTS_S = 10.0
WARM_UP_S = 2.0
COMMITS_S = 5
COMMIT_CLIENTS = 16
GOAL = 0.10
TRANSACTION = "INSERT INTO bench_commits (number) VALUES (1);\n"
RATE = re.compile(r"tps = ([0-9.]+)")


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the row on throughput."""
    commits: list[float] = []
    starts: list[float] = []
    cores: list[list[float]] = []
    pgbench = _pgbench(server)
    script = folder / "commit.sql"
    script.write_text(TRANSACTION)
    asyncio.run(_make_table(server))
    arguments = ["-m", "bench.sites", server.address, "throughput", str(PARTIES)]
    with contextlib.ExitStack() as stack:
        sites = child(stack, "sites", arguments, folder)
        sites.hear()
        for _ in range(ROUNDS):
            if pgbench is not None:
                commits.append(_commit_rate(pgbench, server, script))
            proc.wait_until_quiet()
            asyncio.run(_start_rate(server, sites, starts, cores))
    return _rows(starts, commits, cores)


def _rows(starts: list[float], commits: list[float], cores: list[list[float]]) -> list[Row]:
    rate = median(starts)
    of_server, of_postgres, of_sites, of_client = (
        f"{median(values):.2f}" for values in zip(*cores, strict=True)
    )
    return [
        Row(
            measure=f"runs of single-party no-op tasks, {PARTIES} in flight: start to end seen",
            value=f"{rate:.1f} per second",
            reference=f"pgbench, {COMMIT_CLIENTS} clients, one INSERT each: "
            f"{median(commits):.0f} commits per second"
            if commits
            else "skipped: there is no pgbench beside this PostgreSQL",
            ratio=rate / median(commits) if commits else None,
            goal=GOAL,
            more_is_better=True,
        ),
        Row(
            measure="the same: cores in use",
            value=f"server {of_server}, its PostgreSQL {of_postgres}, all agents {of_sites}, "
            f"client {of_client}",
        ),
    ]


def _pgbench(server: Server) -> Path | None:
    """Return the pgbench of the installation that serves, or else the one on the path."""
    for pid in proc.descendants(server.child.pid):
        beside = proc.executable(pid).with_name("pgbench")
        if beside.exists():
            return beside
    found = shutil.which("pgbench")
    return None if found is None else Path(found)


def _commit_rate(pgbench: Path, server: Server, script: Path) -> float:
    command = [str(pgbench), "-n", "-f", str(script), "-T", str(COMMITS_S)]
    command += ["-c", str(COMMIT_CLIENTS), "-j", "2", "-h", str(server.socket_dir)]
    command += ["-U", "postgres", "postgres"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = RATE.search(ran.stdout)
    if ran.returncode != 0 or found is None:
        raise BenchError(f"pgbench failed: {ran.stderr.strip()}")
    return float(found[1])


async def _make_table(server: Server) -> None:
    database = await asyncpg.connect(server.database_url)
    await database.execute(
        "CREATE TABLE bench_commits (id bigserial PRIMARY KEY, number int NOT NULL)"
    )
    await database.close()


async def _start_rate(
    server: Server, sites: Child, starts: list[float], cores: list[list[float]]
) -> None:
    """Append how many runs per second began and were seen to end, and who worked for it."""
    ended = 0

    async def run_on(task_id: str) -> None:
        nonlocal ended
        while True:
            data_of(await sdk.task.start(task_id))
            answer = data_of(await sdk.task.wait(task_id))
            if any(party["state"] != PartyRunState.SUCCEEDED for party in answer["party_status"]):
                raise BenchError(f"a no-op task did not succeed: {answer}")
            ended += 1

    async with AsyncFlowServerSdk(server.host, server.port) as sdk:
        task_ids = await _make_tasks(sdk)
        runs = [asyncio.create_task(run_on(task_id)) for task_id in task_ids]
        try:
            await _unless_failed(runs, WARM_UP_S)
            before, began_s, used_s = ended, time.monotonic(), _cpu(server, sites)
            await _unless_failed(runs, STARTS_S)
            took_s = time.monotonic() - began_s
            starts.append((ended - before) / took_s)
            now_s = _cpu(server, sites)
            cores.append([(now - then) / took_s for now, then in zip(now_s, used_s, strict=True)])
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)


async def _unless_failed(runs: list[asyncio.Task[None]], seconds: float) -> None:
    done, _ = await asyncio.wait(runs, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for run in done:
        run.result()


async def _make_tasks(sdk: AsyncFlowServerSdk) -> list[str]:
    unique = uuid.uuid4().hex[:12]
    template = data_of(
        await sdk.template.create(f"bench {unique}", "simulated", "/", ["exit", "0"])
    )
    return [
        str(
            data_of(
                await sdk.task.create(
                    f"bench {unique} {number}",
                    template["template_id"],
                    "",
                    [{"federated_id": f"throughput-{number:04}", "federated_data": ""}],
                )
            )["task_id"]
        )
        for number in range(PARTIES)
    ]


def _cpu(server: Server, sites: Child) -> list[float]:
    """Return the CPU seconds of server, PostgreSQL, agents and this process so far."""
    postgres = proc.descendants(server.child.pid)
    own = time.process_time()
    return [*(proc.cpu_s(pids) for pids in ([server.child.pid], postgres, [sites.pid])), own]
