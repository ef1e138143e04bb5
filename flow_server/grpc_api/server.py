"""The gRPC server: services, health, reflection, keepalive."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from flow_server.grpc_api.agents import AgentServicer
from flow_server.grpc_api.audit import AuditServicer
from flow_server.grpc_api.auditing import Auditor
from flow_server.grpc_api.authentication import Entrance
from flow_server.grpc_api.enrolment import EnrolmentServicer
from flow_server.grpc_api.events import EventServicer
from flow_server.grpc_api.intake import IntakeInterceptor
from flow_server.grpc_api.interceptor import ErrorInterceptor
from flow_server.grpc_api.listener import Listener
from flow_server.grpc_api.logs import LogServicer
from flow_server.grpc_api.metrics import MetricServicer
from flow_server.grpc_api.observing import ObservingInterceptor, Watch
from flow_server.grpc_api.outputs import OutputServicer
from flow_server.grpc_api.parties import PartyServicer
from flow_server.grpc_api.ports import PortInterceptor
from flow_server.grpc_api.rates import Counter
from flow_server.grpc_api.readiness import keep_health
from flow_server.grpc_api.runs import RunServicer
from flow_server.grpc_api.tasks import TaskServicer
from flow_server.grpc_api.templates import TemplateServicer
from flow_server.grpc_api.transport import (
    Security,
    TransportLimits,
    agents_credentials,
    options_of,
    users_credentials,
)
from flow_server.grpc_api.tunnels import TunnelServicer
from flow_server.grpc_api.users import UserServicer
from flow_server.grpc_api.webhooks import WebhookServicer
from flow_wire import (
    agents_pb2,
    agents_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    logs_pb2,
    logs_pb2_grpc,
    metrics_pb2,
    metrics_pb2_grpc,
    outputs_pb2,
    outputs_pb2_grpc,
    parties_pb2,
    parties_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    templates_pb2,
    templates_pb2_grpc,
    tunnels_pb2,
    tunnels_pb2_grpc,
    users_pb2,
    users_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)

_OPTIONS = (
    ("grpc.keepalive_permit_without_calls", 1),
    # An idle site sends no data; by default only the first two pings would go out in time.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Of pings that come faster; any header or data sent forgives them all. An agent pings twice
    # a minute, so only a flood is ended.
    ("grpc.http2.max_ping_strikes", 100),
    # How much an answer may be is its reader's to say; what goes to agents comes in parts.
    ("grpc.max_send_message_length", -1),
    # Two servers on one port would share its connections at random.
    ("grpc.so_reuseport", 0),
)

_SERVICES = (
    templates_pb2.DESCRIPTOR.services_by_name["TemplateService"],
    tasks_pb2.DESCRIPTOR.services_by_name["TaskService"],
    runs_pb2.DESCRIPTOR.services_by_name["RunService"],
    parties_pb2.DESCRIPTOR.services_by_name["PartyService"],
    agents_pb2.DESCRIPTOR.services_by_name["AgentService"],
    enrolment_pb2.DESCRIPTOR.services_by_name["EnrolmentService"],
    metrics_pb2.DESCRIPTOR.services_by_name["MetricService"],
    events_pb2.DESCRIPTOR.services_by_name["EventService"],
    webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"],
    logs_pb2.DESCRIPTOR.services_by_name["LogService"],
    outputs_pb2.DESCRIPTOR.services_by_name["OutputService"],
    tunnels_pb2.DESCRIPTOR.services_by_name["TunnelService"],
    users_pb2.DESCRIPTOR.services_by_name["UserService"],
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
)

# "" is the server as a whole.
_NAMES = ("", *(service.full_name for service in _SERVICES))


@dataclass(frozen=True, kw_only=True)
class Servicers:
    """One servicer per service."""

    templates: TemplateServicer
    tasks: TaskServicer
    runs: RunServicer
    parties: PartyServicer
    agents: AgentServicer
    enrolment: EnrolmentServicer
    metrics: MetricServicer
    logs: LogServicer
    events: EventServicer
    webhooks: WebhookServicer
    outputs: OutputServicer
    tunnels: TunnelServicer
    users: UserServicer
    audit: AuditServicer


class GrpcServer:
    """Listens for users and for agents: at two ports, or without `security` at one, in plain text.

    `port` and `agents_port` are the real ones, also when 0 was asked for.
    """

    def __init__(
        self,
        servicers: Servicers,
        entrance: Entrance,
        auditor: Auditor,
        *,
        host: str,
        port: int,
        agents_port: int,
        security: Security | None,
        keepalive_s: float,
        limits: TransportLimits,
        counter: Counter,
        watch: Watch,
    ) -> None:
        interceptors: list[grpc.aio.ServerInterceptor] = [
            ObservingInterceptor(watch),
            IntakeInterceptor(counter, request_timeout_s=limits.request_timeout_s),
            ErrorInterceptor(entrance.admit, auditor.note_end),
        ]
        if security is not None:
            interceptors.append(PortInterceptor())
        options = (*_OPTIONS, *_keepalive(keepalive_s), *options_of(limits))
        self._health = health.aio.HealthServicer()

        def make() -> grpc.aio.Server:
            server = grpc.aio.server(interceptors=interceptors, options=options)
            _add(servicers, self._health, server)
            return server

        self.host = host
        users = None if security is None else partial(users_credentials, security)
        self._listeners = [Listener(make, host=host, port=port, credentials=users, option="port")]
        if security is not None:
            # Another server, so that what users send never ends an agent's connection.
            self._listeners.append(
                Listener(
                    make,
                    host=host,
                    port=agents_port,
                    credentials=partial(agents_credentials, security),
                    option="agents-port",
                )
            )
        self.port, self.agents_port = self._listeners[0].port, self._listeners[-1].port

    async def start(self) -> None:
        """Begin to serve."""
        for listener in self._listeners:
            await listener.start()
        for name in _NAMES:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def keep(self) -> None:
        """See to it, for ever, that the ports stay open."""
        await asyncio.gather(*(listener.keep() for listener in self._listeners))

    async def keep_health(
        self, check_ready: Callable[[], Awaitable[None]], told: Callable[[bool], None]
    ) -> NoReturn:
        """Let the health service say, for ever, whether the server is ready."""
        await keep_health(self._health, _NAMES, check_ready, told)

    async def aclose(self, grace_s: float, end_streams: Callable[[], None]) -> None:
        """Refuse new calls, give running ones `grace_s` seconds, end. May be called twice.

        `end_streams` ends the calls that would never end by themselves; it is called once no
        new ones are taken, so that who is sent away goes elsewhere.
        """
        await self._health.enter_graceful_shutdown()
        stopping = asyncio.gather(*(listener.stop(grace_s) for listener in self._listeners))
        # One turn of the loop: the listening sockets are closed before anybody is sent away.
        await asyncio.sleep(0)
        end_streams()
        await stopping


def _add(
    servicers: Servicers, health_servicer: health.aio.HealthServicer, server: grpc.aio.Server
) -> None:
    templates_pb2_grpc.add_TemplateServiceServicer_to_server(servicers.templates, server)
    tasks_pb2_grpc.add_TaskServiceServicer_to_server(servicers.tasks, server)
    runs_pb2_grpc.add_RunServiceServicer_to_server(servicers.runs, server)
    parties_pb2_grpc.add_PartyServiceServicer_to_server(servicers.parties, server)
    agents_pb2_grpc.add_AgentServiceServicer_to_server(servicers.agents, server)
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(servicers.enrolment, server)
    metrics_pb2_grpc.add_MetricServiceServicer_to_server(servicers.metrics, server)
    users_pb2_grpc.add_UserServiceServicer_to_server(servicers.users, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(servicers.audit, server)
    webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(servicers.webhooks, server)
    events_pb2_grpc.add_EventServiceServicer_to_server(servicers.events, server)
    logs_pb2_grpc.add_LogServiceServicer_to_server(servicers.logs, server)
    outputs_pb2_grpc.add_OutputServiceServicer_to_server(servicers.outputs, server)
    tunnels_pb2_grpc.add_TunnelServiceServicer_to_server(servicers.tunnels, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        [*_NAMES[1:], health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )


def _keepalive(every_s: float) -> tuple[tuple[str, int], ...]:
    # Liveness of idle sites is the C core's work: pings, not messages through Python. The core
    # answers them even while Python is busy, so a busy agent is not taken for a dead one.
    every_ms = round(every_s * 1000)
    return (
        ("grpc.keepalive_time_ms", every_ms),
        ("grpc.keepalive_timeout_ms", every_ms),
        # The core waits for a ping's answer this long, a minute by default, whatever the
        # keepalive's own time-out says.
        ("grpc.http2.ping_timeout_ms", every_ms),
    )
