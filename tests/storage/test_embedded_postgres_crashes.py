"""Whoever is killed, no PostgreSQL is left over and the next start works."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap

import asyncpg
import pytest

from flow_contract.errors import Conflict
from flow_server.storage.embedded import EmbeddedPostgres
from flow_server.storage.pg_account import account_for
from flow_server.storage.pg_binaries import choose, installed
from flow_server.storage.pg_home import Home
from flow_server.storage.pg_process import exited, spawn

pytestmark = pytest.mark.postgres

_FAST = {"fsync": "off"}

_OWNER = """
    import asyncio, signal, sys
    from pathlib import Path
    from flow_server.storage.embedded import EmbeddedPostgres

    async def main():
        postgres = EmbeddedPostgres(Path(sys.argv[1]), extra_settings={"fsync": "off"})
        url = await postgres.start()
        print("PID", postgres.pid, flush=True)
        print("URL", url, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


def _owner(home) -> tuple[subprocess.Popen, int, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_OWNER), str(home)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    answers = {}
    for line in owner.stdout:
        word, _, value = line.strip().partition(" ")
        answers[word] = value
        if word == "URL":
            return owner, int(answers["PID"]), value
    raise AssertionError(f"the owner ended early with {owner.wait()}")


def _reap(owner: subprocess.Popen) -> None:
    owner.wait(timeout=60)
    owner.stdout.close()


def test_killing_the_owner_stops_postgres_in_order(open_dir):
    owner, pid, _ = _owner(open_dir / "pg")
    handle = os.pidfd_open(pid)
    try:
        owner.kill()
        _reap(owner)
        ended, _, _ = select.select([handle], [], [], 60)
        assert ended
    finally:
        os.close(handle)
    assert "database system is shut down" in (open_dir / "pg" / "postgres.log").read_text()
    assert not (open_dir / "pg" / "cluster" / "postmaster.pid").exists()


async def test_a_start_right_after_the_owner_was_killed_waits_its_turn(open_dir):
    owner, pid, url = _owner(open_dir / "pg")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    owner.kill()
    after = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    try:
        _reap(owner)
        connection.terminate()
        again = await asyncpg.connect(await after.start())
        assert after.pid != pid
        assert await again.fetchval("SELECT answer FROM kept") == 42
        await again.close()
    finally:
        await after.aclose()


async def test_a_killed_postgres_is_noticed_and_starts_again_with_its_rows(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    connection = await asyncpg.connect(await postgres.start())
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(postgres.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        assert "ended by itself with code -9" in await postgres.died()
    connection.terminate()
    await postgres.aclose()
    assert (open_dir / "pg" / "cluster" / "postmaster.pid").exists()

    again = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    try:
        connection = await asyncpg.connect(await again.start())
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()
    finally:
        await again.aclose()


async def test_a_killed_postgres_that_nobody_has_reaped_does_not_hinder(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    os.kill(postgres.pid, signal.SIGKILL)
    # As under an init that is slow to reap, or that never does.
    os.waitid(os.P_PID, postgres.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  SIGKILL waits for nobody
    postgres._release()

    again = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    try:
        await again.start()
    finally:
        await again.aclose()
        await postgres.aclose()


async def test_an_interrupted_first_start_is_begun_anew(open_dir):
    half = open_dir / "pg" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    await postgres.aclose()
    assert not half.exists()


async def test_a_left_over_pid_that_another_process_has_now_does_not_hinder(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    await postgres.aclose()
    cluster = open_dir / "pg" / "cluster"
    with Home(open_dir / "pg").open_log() as log:
        # Of the same account: PostgreSQL believes in any such process.
        stranger = spawn(
            ["/bin/sleep", "600"], account=account_for(cluster), directory=open_dir, log=log
        )
    try:
        (cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster}\n1\n5432\n\n\n\n")
        again = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
        await again.start()
        await again.aclose()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_postgres_started_by_hand_on_the_same_files_is_left_alone(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    await postgres.aclose()
    home = Home(open_dir / "pg")
    program = str(choose(installed(), major=home.cluster_major()).bin_dir / "postgres")
    command = [program, "-D", str(home.cluster), "-h", "", "-k", str(home.cluster)]
    with home.open_log() as log:
        by_hand = spawn(command, account=account_for(home.cluster), directory=home.cluster, log=log)
    try:
        async with asyncio.timeout(60):
            # No event tells when a server that isn't ours is ready.
            while home.server_pid() != (by_hand.pid, True):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        with pytest.raises(Conflict, match=f"started by hand.*process {by_hand.pid}"):
            await EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST).start()
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        await exited(by_hand)
