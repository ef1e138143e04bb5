"""The composition root of one flow server: makes the parts, starts and stops them in order."""

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from flow_server.accounts import issuer_of, make_first_admin
from flow_server.grpc_api.rates import Counter
from flow_server.grpc_api.server import GrpcServer
from flow_server.http_ports import make_http_servers
from flow_server.identities import open_material
from flow_server.limits import call_limits, transport_limits
from flow_server.loops.duties import revive_database
from flow_server.loops.supervisor import Duty, keep_going
from flow_server.parts import Parts
from flow_server.relay.relay import Relay
from flow_server.settings import ServerSettings
from flow_server.storage import schema
from flow_server.storage.address import Address, parse
from flow_server.storage.blobs import open_blobs
from flow_server.storage.database import Database
from flow_server.storage.embedded import EmbeddedPostgres, home_in
from flow_server.storage.engine import ANSWER_TIMEOUT_S, make_engine, wait_for_database
from flow_server.storage.pg_account import default_state_dir
from flow_server.telemetry.telemetry import Telemetry
from flow_server.tracing import open_traces, version

log = structlog.get_logger()


class FlowServer:
    """One replica. `start` returns when it serves; `aclose` may be called twice."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self.grpc_address = ""
        self.agents_address = ""
        self.http_address = ""
        # None and empty where there is none.
        self.relay: Relay | None = None
        self.relay_address = ""
        self.metrics_address = ""

    async def start(self) -> None:
        """Open the database, check its schema, serve.

        Raises:
            InvalidArgument: an address, URL or directory can't be used, or there are no
                certificates.
            Conflict: the schema is not this code's.
            Unavailable: the database does not answer.
        """
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise

    async def _start(self) -> None:
        # First: who has no certificates yet should not wait for a database to hear of it.
        material = None if self._settings.insecure else open_material(self._settings)
        tracing = await self._stack.enter_async_context(open_traces(self._settings))
        telemetry = self._telemetry = Telemetry(version=version(), tracing=tracing)
        state_dir = self._settings.state_dir or default_state_dir()
        blobs = open_blobs(self._settings.blob_url, state_dir / "blobs")
        address = await self._open_database()
        if self._settings.database_url is None:
            await _migrate(address)
        engine = make_engine(
            address,
            pool_size=self._settings.database_connections,
            answer_timeout_s=ANSWER_TIMEOUT_S,
        )
        self._stack.push_async_callback(engine.dispose)
        fit = await schema.require_fit(engine, database=address.shown)
        if fit is schema.Fit.COMPATIBLE:
            log.warning("schema_newer_than_code", schema=await schema.current(engine))
        database = Database(engine, telemetry.databases)
        telemetry.follow(database, limit=self._settings.database_connections)
        self._stack.push_async_callback(telemetry.aclose)
        issuer = issuer_of(self._settings)
        if issuer is not None:
            self._stack.push_async_callback(issuer.aclose)
        parts = Parts(
            database,
            blobs,
            address,
            self._settings,
            telemetry,
            material=material,
            issuer=issuer,
        )
        if parts.relay is not None:
            self._stack.callback(parts.relay.close)
            self.relay = parts.relay
            self.relay_address = f"{parts.relay.host}:{parts.relay.port}"
        await make_first_admin(database, self._settings)
        grpc_server = GrpcServer(
            parts.servicers,
            parts.entrance,
            parts.auditor,
            host=self._settings.host,
            port=self._settings.port,
            agents_port=self._settings.agents_port,
            security=None if material is None else material.security,
            keepalive_s=self._settings.keepalive_s,
            limits=transport_limits(self._settings),
            counter=Counter(call_limits(self._settings)),
            watch=telemetry.calls,
        )
        http_servers = []
        for http_server in make_http_servers(self._settings, parts.check_ready, telemetry.page):
            self._stack.push_async_callback(http_server.aclose)
            http_servers.append(http_server)
        self._begin(parts.duties)
        await parts.listening.wait()
        for http_server in http_servers:
            await http_server.start()
        parts.servicers.enrolment.agents_address = (
            self._settings.agents_address or f":{grpc_server.agents_port}"
        )
        await grpc_server.start()
        self._stack.push_async_callback(
            grpc_server.aclose, self._settings.shutdown_grace_s, parts.send_away
        )
        self._begin({"ports": grpc_server.keep})
        self._begin(
            {
                "readiness": lambda: grpc_server.keep_health(
                    parts.check_ready, telemetry.metrics.ready.set
                )
            }
        )
        # First of all that ends: who balances load hears of it before anything is refused.
        self._stack.callback(parts.leave)
        self.grpc_address = f"{grpc_server.host}:{grpc_server.port}"
        self.agents_address = f"{grpc_server.host}:{grpc_server.agents_port}"
        self.http_address = f"{http_servers[0].host}:{http_servers[0].port}"
        self.metrics_address = f"{http_servers[-1].host}:{http_servers[-1].port}"
        self._write_ready_file()
        log.info("server_started", **self._addresses())

    async def aclose(self) -> None:
        """Refuse new calls, drain, end the duties, close the database."""
        await self._stack.aclose()

    async def _open_database(self) -> Address:
        url = self._settings.database_url
        if url is not None:
            address = parse(url.get_secret_value())
        else:
            embedded = EmbeddedPostgres(home_in(self._settings.state_dir or default_state_dir()))
            self._stack.push_async_callback(embedded.aclose)
            address = parse(await embedded.start())
            self._begin({"embedded_database": lambda: revive_database(embedded)})
        await wait_for_database(address)
        return address

    def _begin(self, duties: Mapping[str, Duty]) -> None:
        tasks = [
            asyncio.create_task(keep_going(name, duty, self._telemetry.loops), name=name)
            for name, duty in duties.items()
        ]
        self._stack.push_async_callback(_end, tasks)

    def _write_ready_file(self) -> None:
        path = self._settings.ready_file
        if path is None:
            return
        write_whole(path, self._addresses())
        self._stack.callback(path.unlink, missing_ok=True)

    def _addresses(self) -> dict[str, Any]:
        return {
            "grpc": self.grpc_address,
            "agents": self.agents_address,
            "http": self.http_address,
            "relay": self.relay_address,
            "tls": not self._settings.insecure,
        }


async def _migrate(address: Address) -> None:
    # An engine of its own: migrating takes as long as it takes.
    engine = make_engine(address)
    try:
        await schema.upgrade(engine)
    finally:
        await engine.dispose()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def write_whole(path: Path, document: dict[str, Any]) -> None:
    """Write a file that readers see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(document) + "\n")
    draft.replace(path)
