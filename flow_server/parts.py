"""The parts of one flow server: services and servicers over one database, and their duties."""

import asyncio
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from flow_contract.errors import Kind, Unavailable
from flow_server.accounts import authenticator_of
from flow_server.event_parts import make_event_parts
from flow_server.grpc_api.agents import AgentServicer
from flow_server.grpc_api.audit import AuditServicer
from flow_server.grpc_api.auditing import Auditor
from flow_server.grpc_api.authentication import Entrance
from flow_server.grpc_api.certificates import caller_from_certificate
from flow_server.grpc_api.enrolment import EnrolmentServicer
from flow_server.grpc_api.metrics import MetricServicer
from flow_server.grpc_api.parties import PartyServicer
from flow_server.grpc_api.runs import RunServicer
from flow_server.grpc_api.server import Servicers
from flow_server.grpc_api.tasks import TaskServicer
from flow_server.grpc_api.templates import TemplateServicer
from flow_server.grpc_api.users import UserServicer
from flow_server.identities import Material, utc_now
from flow_server.log_parts import make_log_parts
from flow_server.loops.duties import (
    delete_old_events,
    delete_old_runs,
    listen_for_changes,
    note_token_uses,
    renew_leases,
    repeat_failed_runs,
    sweep_absences,
)
from flow_server.loops.supervisor import Duty
from flow_server.oidc.issuer import Issuer
from flow_server.output_parts import make_output_servicer
from flow_server.services.absences import AbsenceService
from flow_server.services.admissions import AdmissionService
from flow_server.services.delivery import DeliveryService
from flow_server.services.enrolments import EnrolmentService
from flow_server.services.retention import RetentionService
from flow_server.services.retries import RetryService
from flow_server.services.runs import RunService
from flow_server.services.sign_in import SignIn
from flow_server.services.tasks import TaskService
from flow_server.services.templates import TemplateService
from flow_server.services.tokens import TokenService
from flow_server.services.users import UserService
from flow_server.services.vigil import Vigil
from flow_server.services.watches import WaitService, Watches
from flow_server.settings import ServerSettings
from flow_server.storage.address import Address
from flow_server.storage.blobs import Blobs
from flow_server.storage.changes import Listener
from flow_server.storage.database import Database
from flow_server.telemetry.services import (
    CountedAudit,
    CountedMetrics,
    CountedParties,
    CountedRegistry,
    CountedReports,
)
from flow_server.telemetry.starts import ObservedStarts, TracedDelivery
from flow_server.telemetry.telemetry import Telemetry
from flow_server.tunnel_parts import make_tunnel_parts

TOKEN_USES_NOTED_S = 60.0


class Parts:
    """Services and servicers over one database."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        address: Address,
        settings: ServerSettings,
        telemetry: Telemetry,
        *,
        material: Material | None,
        issuer: Issuer | None,
    ) -> None:
        self._database = database
        self.listening = asyncio.Event()
        metrics, tracing = telemetry.metrics, telemetry.tracing
        self._is_leaving = False
        registry = self._registry = CountedRegistry(metrics, settings.reconnect_spread_s)
        watches = self._watches = Watches()
        logs = self._logs = make_log_parts(
            database, blobs, settings, metrics, tasks_watched=watches
        )
        events = self._events = make_event_parts(database, settings)
        outputs = self._outputs = make_output_servicer(database, blobs, settings, metrics)
        tunnels = self._tunnels = make_tunnel_parts(database, registry, settings, telemetry)
        self.relay = tunnels.relay
        parties = self._parties = CountedParties(
            metrics, database, owner_id=uuid.uuid4().hex, lease=timedelta(seconds=settings.lease_s)
        )
        admissions = AdmissionService(database, registry, now=utc_now)
        enrolments = EnrolmentService(database, None if material is None else material.identities)
        reports = CountedReports(metrics, database)
        delivery = DeliveryService(database, registry, on_offered=TracedDelivery(tracing))
        tasks = TaskService(database)
        starts = ObservedStarts(metrics, tracing, database, on_storing=delivery.remember)
        # A gap of half a lease: shorter ones no lease runs out in.
        vigil = Vigil(longest_gap_s=settings.lease_s / 2, clock_s=time.monotonic)
        absences = AbsenceService(
            database,
            vigil=vigil,
            orphan_grace_s=settings.orphan_grace_s,
            return_grace_s=settings.return_grace_s,
        )
        retries = RetryService(database)
        retention = RetentionService(
            database,
            blobs,
            age=timedelta(days=settings.retention_days),
            runs_per_task=settings.retention_runs_per_task,
        )
        sign_in = SignIn(database, verify_issued=None if issuer is None else issuer.caller_of)
        self.entrance = Entrance(authenticator_of(settings, sign_in, caller_from_certificate))
        audit = CountedAudit(metrics, database, clock_s=time.monotonic)
        self.auditor = Auditor(audit)
        self.servicers = Servicers(
            templates=TemplateServicer(TemplateService(database)),
            tasks=TaskServicer(tasks, starts, WaitService(tasks, watches)),
            runs=RunServicer(RunService(database)),
            metrics=MetricServicer(CountedMetrics(metrics, database)),
            parties=PartyServicer(parties, enrolments),
            agents=AgentServicer(
                insecure=settings.insecure,
                enrolments=enrolments,
                parties=parties,
                reports=reports,
                delivery=delivery,
                registry=registry,
                auditor=self.auditor,
                lost_after_s=settings.lost_after_s,
                return_grace_s=settings.return_grace_s,
            ),
            enrolment=EnrolmentServicer(enrolments),
            users=UserServicer(UserService(database), TokenService(database)),
            audit=AuditServicer(audit),
            logs=logs.servicer,
            events=events.servicer,
            webhooks=events.webhooks,
            outputs=outputs,
            tunnels=tunnels.servicer,
        )

        def changed_identity(subject: str) -> None:
            # In this order: who is woken asks again, and must not be told what was believed.
            sign_in.changed(subject)
            watches.wake_caller(subject)
            logs.watched.wake_caller(subject)
            events.watched.wake_caller(subject)
            admissions.wake(subject)

        def observed(task_id: str) -> None:
            watches.wake(task_id)
            events.wake()

        def make_listener() -> Listener:
            return Listener(
                address,
                on_desired=delivery.wake_run,
                on_observed=observed,
                on_identity=changed_identity,
                on_logs=logs.watched.wake,
                on_events=lambda _: events.feed.wake(),
                on_offers=tunnels.service.passed_on,
            )

        def done(loop: str) -> Callable[[], None]:
            return lambda: telemetry.loops.succeeded(loop)

        sweep_s = settings.sweeps_every_s
        self.duties: dict[str, Duty] = {
            **telemetry.duties,
            **tunnels.duties,
            "starts": starts.run,
            "task_reads": tasks.run,
            "reports": reports.run,
            "audit": audit.run,
            "logs": logs.pushes.run,
            "delivery": delivery.run,
            "events": events.feed.run,
            "webhooks": events.sender.run,
            "event_retention": lambda: delete_old_events(
                events.retention,
                events.sender,
                every_s=settings.retention_sweep_s,
                done=done("event_retention"),
            ),
            "leases": lambda: renew_leases(
                parties,
                registry,
                admissions,
                vigil,
                every_s=settings.lease_renewal_s,
                done=done("leases"),
            ),
            "admissions": admissions.run,
            "absences": lambda: sweep_absences(absences, every_s=sweep_s, done=done("absences")),
            "retries": lambda: repeat_failed_runs(retries, every_s=sweep_s, done=done("retries")),
            "retention": lambda: delete_old_runs(
                retention, every_s=settings.retention_sweep_s, done=done("retention")
            ),
            "token_uses": lambda: note_token_uses(
                sign_in, every_s=TOKEN_USES_NOTED_S, done=done("token_uses")
            ),
            "changes": lambda: listen_for_changes(
                make_listener,
                delivery=delivery,
                watches=(watches, logs.watched, events.watched),
                feeds=(events.feed,),
                admissions=admissions,
                sign_in=sign_in,
                registry=registry,
                on_listening=self.listening.set,
            ),
        }

    def leave(self) -> None:
        """Be ready for nothing new: who balances load should look elsewhere."""
        self._is_leaving = True

    def send_away(self) -> None:
        """End the calls that last: agents and waits go to another replica, or come back later."""
        self._parties.leave()
        self._registry.close(
            Unavailable("the server is shutting down; dial again", kind=Kind.SERVER)
        )
        self._watches.close()
        self._events.watched.close()
        self._logs.close()
        self._outputs.close()

    async def check_ready(self) -> None:
        """Look after the relay and reach the database.

        Raises:
            Unavailable: one of them does not answer, or the server is about to end.
        """
        if self._is_leaving:
            raise Unavailable("the server is shutting down", kind=Kind.SERVER)
        if self.relay is not None:
            self.relay.check()
        async with self._database.transaction():
            pass
