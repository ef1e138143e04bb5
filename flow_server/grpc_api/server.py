"""The gRPC server: services, health, reflection, keepalive."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from flow_contract.errors import InvalidArgument
from flow_server.grpc_api.agents import AgentServicer
from flow_server.grpc_api.audit import AuditServicer
from flow_server.grpc_api.auditing import Auditor
from flow_server.grpc_api.authentication import Entrance
from flow_server.grpc_api.enrolment import EnrolmentServicer
from flow_server.grpc_api.interceptor import ErrorInterceptor
from flow_server.grpc_api.logs import LogServicer
from flow_server.grpc_api.parties import PartyServicer
from flow_server.grpc_api.ports import PortInterceptor
from flow_server.grpc_api.runs import RunServicer
from flow_server.grpc_api.tasks import TaskServicer
from flow_server.grpc_api.templates import TemplateServicer
from flow_server.grpc_api.transport import Security, agents_credentials, users_credentials
from flow_server.grpc_api.users import UserServicer
from flow_wire import (
    agents_pb2,
    agents_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    logs_pb2,
    logs_pb2_grpc,
    parties_pb2,
    parties_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    templates_pb2,
    templates_pb2_grpc,
    users_pb2,
    users_pb2_grpc,
)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_OPTIONS = (
    ("grpc.keepalive_permit_without_calls", 1),
    # An idle site sends no data; by default only the first two pings would go out in time.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
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
    logs_pb2.DESCRIPTOR.services_by_name["LogService"],
    users_pb2.DESCRIPTOR.services_by_name["UserService"],
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
)


@dataclass(frozen=True, kw_only=True)
class Servicers:
    """One servicer per service."""

    templates: TemplateServicer
    tasks: TaskServicer
    runs: RunServicer
    parties: PartyServicer
    agents: AgentServicer
    enrolment: EnrolmentServicer
    logs: LogServicer
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
    ) -> None:
        interceptors: list[grpc.aio.ServerInterceptor] = [
            ErrorInterceptor(entrance.admit, auditor.note_end)
        ]
        if security is not None:
            interceptors.append(PortInterceptor())
        self._server = grpc.aio.server(
            interceptors=interceptors, options=(*_OPTIONS, *_keepalive(keepalive_s))
        )
        self._health = health.aio.HealthServicer()
        templates_pb2_grpc.add_TemplateServiceServicer_to_server(servicers.templates, self._server)
        tasks_pb2_grpc.add_TaskServiceServicer_to_server(servicers.tasks, self._server)
        runs_pb2_grpc.add_RunServiceServicer_to_server(servicers.runs, self._server)
        parties_pb2_grpc.add_PartyServiceServicer_to_server(servicers.parties, self._server)
        agents_pb2_grpc.add_AgentServiceServicer_to_server(servicers.agents, self._server)
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(servicers.enrolment, self._server)
        logs_pb2_grpc.add_LogServiceServicer_to_server(servicers.logs, self._server)
        users_pb2_grpc.add_UserServiceServicer_to_server(servicers.users, self._server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(servicers.audit, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [service.full_name for service in _SERVICES]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self._names = ["", *names]
        self.host = host
        if security is None:
            self.port = self.agents_port = self._bind(host, port, None, option="port")
        else:
            self.port = self._bind(host, port, users_credentials(security), option="port")
            self.agents_port = self._bind(
                host, agents_port, agents_credentials(security), option="agents-port"
            )

    def _bind(
        self, host: str, port: int, credentials: grpc.ServerCredentials | None, *, option: str
    ) -> int:
        address = _address(host, port)
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError:
            raise InvalidArgument(
                f"--{option}: can't listen on {address}; another process may be using "
                "it, so choose another port or 0 for any",
                field=option.replace("-", "_"),
            ) from None

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def aclose(self, grace_s: float, end_streams: Callable[[], None]) -> None:
        """Refuse new calls, give running ones `grace_s` seconds, end. May be called twice.

        `end_streams` ends the calls that would never end by themselves; it is called once no
        new ones are taken, so that who is sent away goes elsewhere.
        """
        await self._health.enter_graceful_shutdown()
        stopping = asyncio.ensure_future(self._server.stop(grace_s))
        # One turn of the loop: the listening socket is closed before anybody is sent away.
        await asyncio.sleep(0)
        end_streams()
        await stopping


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


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
