"""TemplateService on gRPC: decode, one use case, encode."""

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.paging import page_of
from flow_server.services.templates import TemplateService
from flow_wire import templates_pb2 as pb
from flow_wire import templates_pb2_grpc
from flow_wire.codec.templates import decode_template_spec, encode_template


class TemplateServicer(templates_pb2_grpc.TemplateServiceServicer):
    """See proto/templates.proto for each call's errors."""

    def __init__(self, templates: TemplateService) -> None:
        self._templates = templates

    async def Create(
        self, request: pb.CreateTemplateRequest, context: Context
    ) -> pb.CreateTemplateResponse:
        template_id = await self._templates.create(
            decode_template_spec(request.spec), caller=callers.current()
        )
        return pb.CreateTemplateResponse(template_id=template_id)

    async def Update(
        self, request: pb.UpdateTemplateRequest, context: Context
    ) -> pb.UpdateTemplateResponse:
        await self._templates.update(
            request.template_id, decode_template_spec(request.spec), caller=callers.current()
        )
        return pb.UpdateTemplateResponse()

    async def Get(self, request: pb.GetTemplateRequest, context: Context) -> pb.GetTemplateResponse:
        template = await self._templates.get(request.template_id)
        return pb.GetTemplateResponse(template=encode_template(template))

    async def List(
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        page, limit = page_of(request)
        found, count = await self._templates.list(keyword=request.keyword, page=page, limit=limit)
        return pb.ListTemplatesResponse(
            templates=[encode_template(template) for template in found], template_count=count
        )

    async def Delete(
        self, request: pb.DeleteTemplateRequest, context: Context
    ) -> pb.DeleteTemplateResponse:
        await self._templates.delete(request.template_id, caller=callers.current())
        return pb.DeleteTemplateResponse()
