"""The embedded PostgreSQL starts on an empty machine, keeps its data, and goes when told."""

import asyncio
import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from flow_contract.errors import Conflict, InvalidArgument, Unavailable
from flow_server.storage.embedded import EmbeddedPostgres
from flow_server.storage.pg_binaries import Binaries, installed

pytestmark = pytest.mark.postgres

_FAST = {"fsync": "off"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")


async def _ask(url: str, query: str):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _uids(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]


async def test_a_first_start_makes_a_database_and_a_second_finds_its_rows(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    assert not postgres.exists
    url = await postgres.start()
    await _ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    await postgres.aclose()

    again = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    assert again.exists
    try:
        assert await _ask(await again.start(), "SELECT answer FROM kept") == 42
    finally:
        await again.aclose()


async def test_it_listens_on_no_network_and_takes_settings(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST | {"work_mem": "7MB"})
    try:
        url = await postgres.start()
        assert await _ask(url, "SELECT current_setting('listen_addresses')") == ""
        assert await _ask(url, "SELECT current_setting('unix_socket_permissions')") == "0700"
        assert await _ask(url, "SELECT current_setting('work_mem')") == "7MB"
    finally:
        await postgres.aclose()


async def test_the_callers_postgres_variables_change_nothing(open_dir, monkeypatch):
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    try:
        assert await _ask(await postgres.start(), "SELECT 1") == 1
    finally:
        await postgres.aclose()


async def test_stopping_comes_before_the_start_and_twice_without_harm(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.aclose()
    await postgres.start()
    pid = postgres.pid
    await postgres.aclose()
    await postgres.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_stopping_does_not_wait_for_connections_to_end(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    connection = await asyncpg.connect(await postgres.start())
    await postgres.aclose()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()


async def test_the_terminals_interrupt_does_not_reach_it(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    try:
        assert os.getsid(postgres.pid) == postgres.pid
    finally:
        await postgres.aclose()


async def test_a_directory_serves_one_owner_at_a_time(open_dir):
    first = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    url = await first.start()
    try:
        with pytest.raises(Conflict, match=f"in use by process {os.getpid()}"):
            await EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST).start()
        assert await _ask(url, "SELECT 1") == 1
    finally:
        await first.aclose()


async def test_two_first_starts_at_once_make_one_database(open_dir):
    both = [EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST) for _ in range(2)]
    outcomes = await asyncio.gather(*(one.start() for one in both), return_exceptions=True)
    try:
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "str"]
    finally:
        for one in both:
            await one.aclose()


async def test_a_path_with_spaces_commas_and_quotes_works(open_dir):
    postgres = EmbeddedPostgres(open_dir / 'a "site", one & %41' / "pg", extra_settings=_FAST)
    try:
        assert await _ask(await postgres.start(), "SELECT 1") == 1
    finally:
        await postgres.aclose()


async def test_a_path_too_long_for_a_socket_gets_a_short_socket_directory(open_dir):
    postgres = EmbeddedPostgres(open_dir / ("x" * 120) / "pg", extra_settings=_FAST)
    url = await postgres.start()
    sockets = Path(url.partition("host=")[2].partition("&")[0])
    try:
        assert len(str(sockets)) < 60
        assert await _ask(url, "SELECT 1") == 1
    finally:
        await postgres.aclose()
    assert not list(sockets.parent.glob(sockets.name))


async def test_a_wanted_socket_directory_is_used_and_a_too_long_one_refused(open_dir):
    wanted = open_dir / "sockets"
    postgres = EmbeddedPostgres(open_dir / "pg", socket_dir=wanted, extra_settings=_FAST)
    try:
        assert await _ask(await postgres.start(), "SELECT 1") == 1
        assert (wanted / ".s.PGSQL.5432").exists()
    finally:
        await postgres.aclose()

    long = EmbeddedPostgres(open_dir / "pg", socket_dir=open_dir / ("y" * 120))
    with pytest.raises(InvalidArgument, match="can't be used"):
        await long.start()


async def test_a_start_that_fails_says_what_postgres_said_and_holds_nothing(open_dir):
    bad = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST | {"shared_buffers": "many"})
    with pytest.raises(
        Unavailable, match=r'(?s)ended with code 1.*invalid value.*"shared_buffers"'
    ):
        await bad.start()

    good = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await good.start()
    await good.aclose()


async def test_a_cancelled_start_leaves_no_process_and_no_lock(open_dir):
    cancelled = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    starting = asyncio.ensure_future(cancelled.start())
    async with asyncio.timeout(60):
        # It is at work once initdb's directory is there; no event tells.
        while not (open_dir / "pg" / "cluster.new").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cancelled.pid is None

    after = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    assert await _ask(await after.start(), "SELECT 1") == 1
    await after.aclose()


async def test_what_is_no_database_is_left_alone(open_dir):
    (open_dir / "pg" / "cluster").mkdir(parents=True)
    precious = open_dir / "pg" / "cluster" / "thesis.txt"
    precious.write_text("years of work")
    if os.geteuid() == 0:
        os.chown(precious.parent, 65534, 65534)
    with pytest.raises(Conflict, match="no PG_VERSION"):
        await EmbeddedPostgres(open_dir / "pg").start()
    assert precious.read_text() == "years of work"


async def test_a_database_is_served_by_the_version_that_made_it(open_dir):
    machine = installed()
    oldest = min(machine, key=lambda it: it.major)
    newest = max(machine, key=lambda it: it.major)
    if oldest.major == newest.major:
        pytest.skip("this machine has one PostgreSQL version only")
    made = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST, candidates=[oldest])
    await made.start()
    await made.aclose()

    both = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST, candidates=[newest, oldest])
    version = await _ask(await both.start(), "SELECT current_setting('server_version_num')::int")
    await both.aclose()
    assert version // 10_000 == oldest.major

    only_new = EmbeddedPostgres(open_dir / "pg", candidates=[newest])
    with pytest.raises(Unavailable, match=f"was made by PostgreSQL {oldest.major}"):
        await only_new.start()


async def test_without_any_postgres_the_error_names_three_ways_out(open_dir):
    with pytest.raises(Unavailable, match=r"install.*fedflow\[server\].*--database-url"):
        await EmbeddedPostgres(open_dir / "pg", candidates=[]).start()


@needs_root
async def test_root_lends_it_an_unprivileged_account(open_dir):
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST)
    await postgres.start()
    try:
        owner = (open_dir / "pg" / "cluster").stat().st_uid
        assert owner != 0
        assert _uids(postgres.pid) == [str(owner)] * 4
    finally:
        await postgres.aclose()


@needs_root
async def test_a_closed_parent_is_named_and_not_opened(open_dir):
    closed = open_dir / "private"
    closed.mkdir(mode=0o700)
    with pytest.raises(InvalidArgument, match=f"because {closed} is closed.*/var/lib/fedflow"):
        await EmbeddedPostgres(closed / "pg").start()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not (closed / "pg").exists()


@needs_root
async def test_a_database_of_root_is_refused_with_the_command_that_helps(open_dir):
    (open_dir / "pg" / "cluster").mkdir(parents=True)
    with pytest.raises(InvalidArgument, match=r"belongs to root.*chown"):
        await EmbeddedPostgres(open_dir / "pg").start()


@needs_root
async def test_programs_in_a_closed_directory_are_copied_for_the_account(open_dir):
    packaged = [it for it in installed() if it.prefix.name.startswith("pginstall")]
    if not packaged:
        pytest.skip("no PostgreSQL in the virtual environment")
    closed = open_dir / "root-only"
    closed.mkdir(mode=0o700)
    original = packaged[0]
    package = original.prefix.parent
    shutil.copytree(original.prefix, closed / package.name / original.prefix.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    bin_dir = closed / original.bin_dir.relative_to(package.parent)
    hidden = Binaries(bin_dir=bin_dir, major=original.major, minor=original.minor)
    postgres = EmbeddedPostgres(open_dir / "pg", extra_settings=_FAST, candidates=[hidden])
    try:
        assert await _ask(await postgres.start(), "SELECT 1") == 1
    finally:
        await postgres.aclose()
    assert closed.stat().st_mode & 0o777 == 0o700
