"""One whole federation of real processes: PostgreSQL, servers, three agents, and their links."""

import asyncio
import json
import shutil
import signal
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import docker

from flow_server_sdk import AsyncFlowServerSdk
from party_agent.runtimes import agent_key
from party_agent.settings import AgentSettings
from tests.chaos.daemon import Daemon
from tests.chaos.database import HOOK, Database, OwnDatabase, ServersDatabase, connect, signal_all
from tests.chaos.engine import PrivateEngine
from tests.chaos.proxy import Address, Proxy
from tests.engine import connect_or_skip
from tests.gpu.second_engine import missing_here

PARTIES = ("hospital-a", "hospital-b", "hospital-c")
GPUS = ("gpu-a", "gpu-b")
LEASE_S = 3.0
# Where runs are kept by number.
KEPT_RUNS = 1
# The site whose containers run on an engine of its own, which may be killed.
PRIVATE_SITE = 2

_SERVER_ENV = {
    # Half of it is the lease.
    "FEDFLOW_SERVER_LOST_AFTER_S": str(2 * LEASE_S),
    # Agents here come back within a second.
    "FEDFLOW_SERVER_RETURN_GRACE_S": "2.5",
    "FEDFLOW_SERVER_SWEEP_S": "0.2",
    "FEDFLOW_SERVER_RETENTION_SWEEP_S": "0.3",
    "FEDFLOW_SERVER_SHUTDOWN_GRACE_S": "0",
    "FEDFLOW_SERVER_LOG_JSON": "true",
}
# By number or by age, small enough that runs go while others are played.
_RETENTION_ENV = {
    True: {"FEDFLOW_SERVER_RETENTION_RUNS_PER_TASK": str(KEPT_RUNS)},
    False: {"FEDFLOW_SERVER_RETENTION_DAYS": str(0.5 / 86_400)},
}
_AGENT_ENV = {
    # More than one schedule makes at one site: they are evidence.
    "FEDFLOW_AGENT_KEEP_OUTPUTS_RUNS": "40",
    "FEDFLOW_AGENT_FIRST_BACKOFF_S": "0.05",
    "FEDFLOW_AGENT_MAX_BACKOFF_S": "0.5",
    "FEDFLOW_AGENT_LOG_JSON": "true",
}

# Logged where something went wrong that nobody had thought of.
_DEFECTS = (
    '"incident_raised"',
    '"session_failed"',
    '"unit_step_failed"',
    '"agent_task_failed"',
    "Traceback",
)

# Survives the unit: the newest sequence number that the agent ever wrote down, in the same
# transaction as the unit itself.
_JOURNAL_HOOK = """
CREATE TABLE IF NOT EXISTS chaos_sequences (party_run_id TEXT PRIMARY KEY, sequence INTEGER);
CREATE TRIGGER IF NOT EXISTS chaos_insert AFTER INSERT ON units BEGIN
  DELETE FROM chaos_sequences WHERE party_run_id = new.party_run_id;
  INSERT INTO chaos_sequences
  VALUES (new.party_run_id, json_extract(new.unit, '$.sequence')); END;
CREATE TRIGGER IF NOT EXISTS chaos_update AFTER UPDATE ON units BEGIN
  DELETE FROM chaos_sequences WHERE party_run_id = new.party_run_id;
  INSERT INTO chaos_sequences
  VALUES (new.party_run_id, json_extract(new.unit, '$.sequence')); END;
"""


class DidNotEnd(Exception):
    """Somebody did not end when asked; the text says who."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`replicas` 0 means one server with its own embedded PostgreSQL."""

    runtime: str
    replicas: int

    @property
    def keeps_by_number(self) -> bool:
        return self.replicas == 2


class Site:
    """One party: its agent's process, its directories, its link to the servers."""

    def __init__(self, place: "Place", number: int) -> None:
        self.number = number
        self.party = PARTIES[number]
        self.state_dir = place.folder / f"site-{number}"
        self.data = place.folder / f"data-{number}"
        self.data.mkdir()
        self.link = Proxy(place.pick_server)
        self.is_private = place.kind.runtime == "docker" and number == PRIVATE_SITE
        self._place = place
        self._settings = AgentSettings(server="localhost:1", party=self.party)
        self.key = agent_key(self._settings, self.state_dir)

    async def start(self) -> None:
        place = self._place
        await self.link.start()
        arguments = ["agent", "--insecure", "--server", f"127.0.0.1:{self.link.port}"]
        arguments += ["--party", self.party]
        arguments += ["--runtime", place.kind.runtime, "--state-dir", str(self.state_dir)]
        arguments += ["--data", f"d={self.data}", "--gpus", ",".join(GPUS)]
        arguments += ["--warm-sandboxes", "1"]
        env = dict(_AGENT_ENV)
        if self.is_private and place.engine is not None:
            env["DOCKER_HOST"] = place.engine.url
        self.agent = Daemon(f"agent-{self.party}", arguments, env, place.folder)
        await self.agent.start()
        await self.agent.ready()
        self._execute(_JOURNAL_HOOK)

    async def be_ready(self, *, drains: bool) -> None:
        """Return once the agent is connected, and would drain at its next SIGTERM, or not."""
        more = ("--drain",) if drains else ()
        if self.agent.more != more:
            self.agent.more = more
            # It would itself drain, if it did so far: nothing is left to wait for.
            await self.agent.end(signal.SIGTERM)
            await self.agent.start()
        await self.agent.ready()

    def engine_client(self) -> docker.APIClient:
        """Return a client of the engine that this site uses; the caller closes it."""
        if self.is_private and self._place.engine is not None:
            return self._place.engine.connect_api()
        return connect_or_skip()

    def sequences(self) -> dict[str, int]:
        """Return the newest sequence number ever journaled, by party run."""
        return dict(self._query("SELECT party_run_id, sequence FROM chaos_sequences"))

    def journaled(self) -> set[str]:
        """Return the party runs that the agent still holds."""
        return {row[0] for row in self._query("SELECT party_run_id FROM units")}

    @property
    def workloads(self) -> Path:
        return self.state_dir / "workloads"

    def output(self, party_run_id: str) -> Path:
        return self.state_dir / "outputs" / party_run_id

    def _execute(self, script: str) -> None:
        database = self._open()
        database.executescript(script)
        database.close()

    def _query(self, statement: str) -> list[tuple]:
        database = self._open()
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.state_dir / "journal.sqlite3", timeout=60)


class Place:
    """Use as `async with`; everything in it is ours and ends with it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        # PostgreSQL runs as an account that is nobody here.
        self.folder.chmod(0o755)
        self.client_link = Proxy(self.pick_server)
        self.sites = [Site(self, number) for number in range(len(PARTIES))]
        self.servers: list[Daemon] = []
        self.engine: PrivateEngine | None = None
        # What can't be done here as drawn.
        self.notes: list[str] = []
        self._turn = 0
        self._read: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._aclose()

    async def pick_server(self) -> Address | None:
        """Return the next server that serves, as a load balancer would."""
        for _ in self.servers:
            self._turn += 1
            server = self.servers[self._turn % len(self.servers)]
            try:
                host, _, port = json.loads(server.ready_file.read_text())["grpc"].rpartition(":")
            except FileNotFoundError:
                continue
            return host, int(port)
        return None

    def complaints(self) -> list[str]:
        """Return what servers and agents logged as defects of their own since the last call."""
        found = []
        for daemon in self.daemons:
            text = daemon.log.read_text(errors="replace")
            new = text[self._read.get(daemon.name, 0) :]
            self._read[daemon.name] = len(text)
            defects = [
                f"{daemon.name}: {line[-1500:]}"
                for line in new.splitlines()
                if any(defect in line for defect in _DEFECTS)
            ]
            # The first says most; the others repeat it.
            found += defects[:2]
        return found

    def discard(self) -> None:
        """Remove the files too: nobody wants to read them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def daemons(self) -> list[Daemon]:
        return [*self.servers, *(site.agent for site in self.sites if hasattr(site, "agent"))]

    async def _start(self) -> None:
        arguments = ["server", "--insecure", "--port", "0", "--http-port", "0"]
        self.database: Database
        if self.kind.replicas:
            self.database = OwnDatabase(self.folder / "postgres")
            arguments += ["--database-url", await self.database.start()]
            # All replicas keep blobs at one place.
            blobs = self.folder / "blobs"
            blobs.mkdir()
            arguments += ["--blob-url", blobs.as_uri()]
        else:
            state_dir = self.folder / "server"
            self.database = ServersDatabase(state_dir)
            arguments += ["--state-dir", str(state_dir)]
        for number in range(self.kind.replicas or 1):
            env = {**_SERVER_ENV, **_RETENTION_ENV[self.kind.keeps_by_number]}
            server = Daemon(f"server-{number}", arguments, env, self.folder)
            self.servers.append(server)
            await server.start()
        for server in self.servers:
            await server.ready()
        connection = await connect(self.database.url)
        await connection.execute(HOOK)
        await connection.close()
        if self.kind.runtime == "docker":
            await self._start_engine()
        await self.client_link.start()
        self.sdk = AsyncFlowServerSdk("127.0.0.1", self.client_link.port, timeout_s=10)
        await asyncio.gather(*(site.start() for site in self.sites))

    async def _start_engine(self) -> None:
        if why := missing_here():
            self.notes.append(f"all sites use one engine: {why}")
            return
        self.engine = await asyncio.to_thread(PrivateEngine)

    async def _aclose(self) -> None:
        """End everything, whatever state it is in.

        Raises:
            DidNotEnd: what was asked to end had to be killed; the rest has ended all the same.
        """
        if hasattr(self, "sdk"):
            await self.sdk.close()
        if hasattr(self, "database") and self.database.pid is not None:
            signal_all(self.database.pid, signal.SIGCONT)
        agents = [site.agent for site in self.sites if hasattr(site, "agent")]
        # Asked, because an agent that leaves takes its idle sandboxes with it; agents first.
        deaf = await _end_all(agents) + await _end_all(self.servers)
        for link in (self.client_link, *(site.link for site in self.sites)):
            await link.aclose()
        if hasattr(self, "database"):
            await self.database.aclose()
        if self.engine is not None:
            await asyncio.to_thread(self.engine.close)
        if deaf:
            raise DidNotEnd(f"had to be killed: {', '.join(deaf)}")


async def _end_all(daemons: list[Daemon]) -> list[str]:
    ended = await asyncio.gather(*(daemon.end(signal.SIGTERM) for daemon in daemons))
    return [daemon.name for daemon, well in zip(daemons, ended, strict=True) if not well]
