"""EnrolmentService on gRPC: a one-time token and a key in, a certificate out."""

from flow_contract.secrets import Secret
from flow_server.grpc_api.context import Context
from flow_server.services.enrolments import EnrolmentService
from flow_wire import enrolment_pb2 as pb
from flow_wire import enrolment_pb2_grpc


class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """See proto/enrolment.proto. `agents_address` is where agents are told to connect."""

    def __init__(self, enrolments: EnrolmentService) -> None:
        self._enrolments = enrolments
        self.agents_address = ""

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolResponse:
        issued = await self._enrolments.enrol(
            Secret(token_id=request.token_id, secret=request.secret),
            request.certificate_request_pem,
        )
        return pb.EnrolResponse(
            federated_id=issued.federated_id,
            certificate_chain_pem=issued.certificate_pem,
            ca_pem=issued.ca_pem,
            agents_address=self.agents_address,
        )
