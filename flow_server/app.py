"""The composition root of one flow server: makes the parts, starts and stops them in order."""

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import structlog

from flow_contract.errors import Kind, Unavailable
from flow_server.accounts import authenticator_of, issuer_of, make_first_admin
from flow_server.gateways.http import HttpServer, make_app
from flow_server.grpc_api.agents import AgentServicer
from flow_server.grpc_api.authentication import Entrance
from flow_server.grpc_api.parties import PartyServicer
from flow_server.grpc_api.runs import RunServicer
from flow_server.grpc_api.server import GrpcServer, Servicers
from flow_server.grpc_api.tasks import TaskServicer
from flow_server.grpc_api.templates import TemplateServicer
from flow_server.grpc_api.users import UserServicer
from flow_server.hub.registry import Registry
from flow_server.loops.duties import (
    delete_old_runs,
    listen_for_changes,
    note_token_uses,
    renew_leases,
    repeat_failed_runs,
    revive_database,
    sweep_absences,
)
from flow_server.loops.supervisor import Duty, keep_going
from flow_server.oidc.issuer import Issuer
from flow_server.services.absences import AbsenceService
from flow_server.services.delivery import DeliveryService
from flow_server.services.parties import PartyService
from flow_server.services.reports import ReportService
from flow_server.services.retention import RetentionService
from flow_server.services.retries import RetryService
from flow_server.services.runs import RunService
from flow_server.services.sign_in import SignIn
from flow_server.services.starts import StartService
from flow_server.services.tasks import TaskService
from flow_server.services.templates import TemplateService
from flow_server.services.tokens import TokenService
from flow_server.services.users import UserService
from flow_server.services.watches import WaitService, Watches
from flow_server.settings import ServerSettings
from flow_server.storage import schema
from flow_server.storage.address import Address, parse
from flow_server.storage.changes import Listener
from flow_server.storage.database import Database
from flow_server.storage.embedded import EmbeddedPostgres, home_in
from flow_server.storage.engine import ANSWER_TIMEOUT_S, make_engine, wait_for_database
from flow_server.storage.pg_account import default_state_dir

log = structlog.get_logger()

TOKEN_USES_NOTED_S = 60.0


class FlowServer:
    """One replica. `start` returns when it serves; `aclose` may be called twice."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self.grpc_address = ""
        self.http_address = ""

    async def start(self) -> None:
        """Open the database, check its schema, serve.

        Raises:
            InvalidArgument: an address, URL or directory can't be used.
            Conflict: the schema is not this code's.
            Unavailable: the database does not answer.
        """
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise

    async def _start(self) -> None:
        address = await self._open_database()
        if self._settings.database_url is None:
            await _migrate(address)
        engine = make_engine(
            address,
            pool_size=self._settings.database_connections,
            answer_timeout_s=ANSWER_TIMEOUT_S,
        )
        self._stack.push_async_callback(engine.dispose)
        await schema.require_fit(engine, database=address.shown)
        database = Database(engine)
        issuer = issuer_of(self._settings)
        if issuer is not None:
            self._stack.push_async_callback(issuer.aclose)
        parts = _Parts(database, address, self._settings, issuer)
        await make_first_admin(database, self._settings)
        grpc_server = GrpcServer(
            parts.servicers,
            parts.entrance,
            host=self._settings.host,
            port=self._settings.port,
            credentials=_credentials(self._settings),
            keepalive_s=self._settings.keepalive_s,
        )
        http_server = HttpServer(
            make_app(parts.check_ready), host=self._settings.host, port=self._settings.http_port
        )
        self._stack.push_async_callback(http_server.aclose)
        self._begin(parts.duties)
        await parts.listening.wait()
        await http_server.start()
        await grpc_server.start()
        self._stack.push_async_callback(
            grpc_server.aclose, self._settings.shutdown_grace_s, parts.send_away
        )
        self.grpc_address = f"{grpc_server.host}:{grpc_server.port}"
        self.http_address = f"{http_server.host}:{http_server.port}"
        self._write_ready_file()
        log.info("server_started", grpc=self.grpc_address, http=self.http_address)

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
            asyncio.create_task(keep_going(name, duty), name=name) for name, duty in duties.items()
        ]
        self._stack.push_async_callback(_end, tasks)

    def _write_ready_file(self) -> None:
        path = self._settings.ready_file
        if path is None:
            return
        write_whole(path, {"grpc": self.grpc_address, "http": self.http_address})
        self._stack.callback(path.unlink, missing_ok=True)


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


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    if settings.insecure or settings.tls_key is None or settings.tls_cert is None:
        return None
    return grpc.ssl_server_credentials(
        [(settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())]
    )


class _Parts:
    """Services and servicers over one database."""

    def __init__(
        self,
        database: Database,
        address: Address,
        settings: ServerSettings,
        issuer: Issuer | None,
    ) -> None:
        self._database = database
        self.listening = asyncio.Event()
        registry, watches = self._registry, self._watches = Registry(), Watches()
        parties = PartyService(
            database, owner_id=uuid.uuid4().hex, lease=timedelta(seconds=settings.lease_s)
        )
        reports = ReportService(database)
        delivery = DeliveryService(database, registry)
        tasks = TaskService(database)
        absences = AbsenceService(
            database,
            lease_s=settings.lease_s,
            return_grace_s=settings.return_grace_s,
            clock_s=time.monotonic,
        )
        retries = RetryService(database)
        retention = RetentionService(
            database,
            age=timedelta(days=settings.retention_days),
            runs_per_task=settings.retention_runs_per_task,
        )
        sign_in = SignIn(database, verify_issued=None if issuer is None else issuer.caller_of)
        self.entrance = Entrance(authenticator_of(settings, sign_in, lambda _connection: None))
        self.servicers = Servicers(
            templates=TemplateServicer(TemplateService(database)),
            tasks=TaskServicer(tasks, StartService(database), WaitService(tasks, watches)),
            runs=RunServicer(RunService(database)),
            parties=PartyServicer(parties),
            agents=AgentServicer(
                parties=parties, reports=reports, delivery=delivery, registry=registry
            ),
            users=UserServicer(UserService(database), TokenService(database)),
        )

        def changed_identity(subject: str) -> None:
            # In this order: who is woken asks again, and must not be told what was believed.
            sign_in.changed(subject)
            watches.wake_caller(subject)

        def make_listener() -> Listener:
            return Listener(
                address,
                on_desired=delivery.wake_run,
                on_observed=watches.wake,
                on_identity=changed_identity,
            )

        self.duties: dict[str, Duty] = {
            "reports": reports.run,
            "delivery": delivery.run,
            "leases": lambda: renew_leases(parties, registry, every_s=settings.lease_renewal_s),
            "absences": lambda: sweep_absences(absences, every_s=settings.sweep_s),
            "retries": lambda: repeat_failed_runs(retries, every_s=settings.sweep_s),
            "retention": lambda: delete_old_runs(retention, every_s=settings.retention_sweep_s),
            "token_uses": lambda: note_token_uses(sign_in, every_s=TOKEN_USES_NOTED_S),
            "changes": lambda: listen_for_changes(
                make_listener,
                delivery=delivery,
                watches=watches,
                sign_in=sign_in,
                registry=registry,
                on_listening=self.listening.set,
            ),
        }

    def send_away(self) -> None:
        """End the calls that last: agents and waits go to another replica, or come back later."""
        self._registry.close(
            Unavailable("the server is shutting down; dial again", kind=Kind.SERVER)
        )
        self._watches.close()

    async def check_ready(self) -> None:
        """Reach the database. Raises Unavailable."""
        async with self._database.transaction():
            pass


def write_whole(path: Path, document: dict[str, Any]) -> None:
    """Write a file that readers see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(document) + "\n")
    draft.replace(path)
