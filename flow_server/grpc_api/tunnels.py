"""TunnelService on gRPC, for agents."""

from flow_server.grpc_api.certificates import party_of
from flow_server.grpc_api.context import Context
from flow_server.services.tunnels import TunnelService
from flow_wire import tunnels_pb2 as pb
from flow_wire import tunnels_pb2_grpc
from flow_wire.codec.tunnels import encode_ticket


class TunnelServicer(tunnels_pb2_grpc.TunnelServiceServicer):
    """See proto/tunnels.proto for the errors.

    Who opens is whom the certificate names; where none is asked for, whose the party run is.
    """

    def __init__(self, tunnels: TunnelService) -> None:
        self._tunnels = tunnels

    async def Open(self, request: pb.OpenTunnelRequest, context: Context) -> pb.OpenTunnelResponse:
        identity = party_of(context.auth_context())
        ticket = await self._tunnels.open(
            None if identity is None else identity.federated_id,
            party_run_id=request.party_run_id,
            peer_party_run_id=request.peer_party_run_id,
            port=request.port,
            serial="" if identity is None else identity.serial,
        )
        return pb.OpenTunnelResponse(ticket=encode_ticket(ticket))
