"""The parts that bring workloads together, put together for one replica."""

from dataclasses import dataclass

from flow_server.grpc_api.tunnels import TunnelServicer
from flow_server.hub.registry import Registry
from flow_server.loops.supervisor import Duty
from flow_server.relay.limits import RelayLimits
from flow_server.relay.relay import Relay
from flow_server.services.tunnels import TunnelService
from flow_server.settings import ServerSettings
from flow_server.storage.database import Database
from flow_server.telemetry.telemetry import Telemetry


@dataclass(frozen=True, kw_only=True)
class TunnelParts:
    """`relay` listens already, and is None where there is to be none."""

    relay: Relay | None
    service: TunnelService
    servicer: TunnelServicer

    @property
    def duties(self) -> dict[str, Duty]:
        """What has to run."""
        return {} if self.relay is None else {"relay": self.relay.run}


def make_tunnel_parts(
    database: Database, registry: Registry, settings: ServerSettings, telemetry: Telemetry
) -> TunnelParts:
    """Return them, not yet running.

    Raises:
        InvalidArgument: the relay's address can't be listened on.
    """
    relay = _make_relay(settings) if settings.relay else None
    if relay is not None:
        telemetry.follow_relay(relay.counts)
    service = TunnelService(database, registry, relay)
    return TunnelParts(relay=relay, service=service, servicer=TunnelServicer(service))


def _make_relay(settings: ServerSettings) -> Relay:
    host, port = settings.relay_listens_at
    return Relay(
        host=host,
        port=port,
        address=settings.relay_address,
        limits=RelayLimits(
            idle_s=settings.relay_idle_s,
            tunnels=settings.relay_tunnels,
            strangers=settings.relay_strangers,
        ),
    )
