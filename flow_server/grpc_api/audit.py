"""AuditService on gRPC: decode, one use case, encode."""

from flow_server.grpc_api.context import Context
from flow_server.services.audit import AuditService
from flow_wire import audit_pb2 as pb
from flow_wire import audit_pb2_grpc
from flow_wire.codec.audit import encode_audit_entry

DEFAULT_LIMIT = 100


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """See proto/audit.proto for each call's errors."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit

    async def List(self, request: pb.ListAuditRequest, context: Context) -> pb.ListAuditResponse:
        entries = await self._audit.read(
            after_sequence=request.after_sequence,
            limit=request.limit if request.HasField("limit") else DEFAULT_LIMIT,
        )
        return pb.ListAuditResponse(entries=[encode_audit_entry(entry) for entry in entries])
