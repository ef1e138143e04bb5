"""PartyService on gRPC: decode, one use case, encode."""

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.paging import page_of
from flow_server.services.enrolments import EnrolmentService
from flow_server.services.parties import PartyService
from flow_wire import parties_pb2 as pb
from flow_wire import parties_pb2_grpc
from flow_wire.codec.parties import encode_party
from flow_wire.codec.times import encode_time


class PartyServicer(parties_pb2_grpc.PartyServiceServicer):
    """See proto/parties.proto for each call's errors."""

    def __init__(self, parties: PartyService, enrolments: EnrolmentService) -> None:
        self._parties = parties
        self._enrolments = enrolments

    async def List(
        self, request: pb.ListPartiesRequest, context: Context
    ) -> pb.ListPartiesResponse:
        page, limit = page_of(request)
        found, count = await self._parties.list(page=page, limit=limit)
        return pb.ListPartiesResponse(
            parties=[encode_party(party) for party in found], party_count=count
        )

    async def Drain(self, request: pb.DrainPartyRequest, context: Context) -> pb.DrainPartyResponse:
        await self._parties.drain(request.federated_id)
        return pb.DrainPartyResponse()

    async def Resume(
        self, request: pb.ResumePartyRequest, context: Context
    ) -> pb.ResumePartyResponse:
        await self._parties.resume(request.federated_id)
        return pb.ResumePartyResponse()

    async def Add(self, request: pb.AddPartyRequest, context: Context) -> pb.AddPartyResponse:
        token = await self._enrolments.add(
            request.federated_id,
            valid_hours=request.valid_hours if request.HasField("valid_hours") else None,
            asked_by=callers.current().name,
        )
        response = pb.AddPartyResponse(enrolment_token=token.text)
        encode_time(response.expires_at, token.expires_at)
        return response

    async def Revoke(
        self, request: pb.RevokePartyRequest, context: Context
    ) -> pb.RevokePartyResponse:
        await self._enrolments.revoke(request.federated_id)
        return pb.RevokePartyResponse()

    async def Get(self, request: pb.GetPartyRequest, context: Context) -> pb.GetPartyResponse:
        party = await self._parties.get(request.federated_id)
        return pb.GetPartyResponse(party=encode_party(party))
