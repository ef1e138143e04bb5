"""WebhookService on gRPC: decode, one use case, encode."""

from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.services.webhooks import WebhookService
from flow_wire import webhooks_pb2 as pb
from flow_wire import webhooks_pb2_grpc
from flow_wire.codec.webhooks import encode_delivery, encode_webhook


class WebhookServicer(webhooks_pb2_grpc.WebhookServiceServicer):
    """See proto/webhooks.proto for each call's errors."""

    def __init__(self, webhooks: WebhookService) -> None:
        self._webhooks = webhooks

    async def Create(
        self, request: pb.CreateWebhookRequest, context: Context
    ) -> pb.CreateWebhookResponse:
        webhook_id, secret = await self._webhooks.create(
            url=request.url,
            task_id=request.task_id,
            secret=request.secret,
            of_all=request.of_all,
            caller=callers.current(),
        )
        return pb.CreateWebhookResponse(webhook_id=webhook_id, secret=secret)

    async def List(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> pb.ListWebhooksResponse:
        found = await self._webhooks.list(caller=callers.current())
        return pb.ListWebhooksResponse(webhooks=[encode_webhook(webhook) for webhook in found])

    async def Delete(
        self, request: pb.DeleteWebhookRequest, context: Context
    ) -> pb.DeleteWebhookResponse:
        await self._webhooks.delete(request.webhook_id, caller=callers.current())
        return pb.DeleteWebhookResponse()

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> pb.ListDeliveriesResponse:
        found = await self._webhooks.deliveries(request.webhook_id, caller=callers.current())
        return pb.ListDeliveriesResponse(deliveries=[encode_delivery(each) for each in found])
