"""`sdk.webhook`: whom the server tells that a run has ended."""

from flow_server_sdk import methods
from flow_server_sdk.calls.surface import R, Surface
from flow_server_sdk.dates import rfc822, rfc822_or_none
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import Call
from flow_wire import webhooks_pb2 as pb
from flow_wire.codec.webhooks import decode_delivery, decode_webhook


class WebhookCalls(Surface[R]):
    """Create, list and delete webhooks; see what became of their deliveries."""

    def create(self, url: str, *, task_id: str = "", secret: str = "", of_all: bool = False) -> R:
        """Have `url` told of each run that ends; data.secret is what it is signed with, once.

        Of your own tasks, or of `task_id` only; `of_all`, for operators and admins, of
        everybody's. `secret` "" means that the server makes one. docs/events.md says what is
        posted and how to verify it.
        """
        return self._send(
            Call(
                method=methods.CREATE_WEBHOOK,
                request=lambda: pb.CreateWebhookRequest(
                    url=forms.text("url", url),
                    task_id=forms.text("task_id", task_id),
                    secret=forms.text("secret", secret),
                    of_all=forms.boolean("of_all", of_all),
                ),
                data=lambda reply: {"webhook_id": reply.webhook_id, "secret": reply.secret},
            )
        )

    def list(self) -> R:
        """Return data.webhooks, oldest first, without their secrets."""
        return self._send(
            Call(
                method=methods.LIST_WEBHOOKS,
                request=pb.ListWebhooksRequest,
                data=lambda reply: {"webhooks": [_webhook(wire) for wire in reply.webhooks]},
            )
        )

    def delete(self, webhook_id: str) -> R:
        """Delete a webhook; what was still to be delivered is not."""
        return self._send(
            Call(
                method=methods.DELETE_WEBHOOK,
                request=lambda: pb.DeleteWebhookRequest(
                    webhook_id=forms.text("webhook_id", webhook_id)
                ),
            )
        )

    def deliveries(self, webhook_id: str) -> R:
        """Return data.deliveries, the 100 newest, newest first."""
        return self._send(
            Call(
                method=methods.LIST_DELIVERIES,
                request=lambda: pb.ListDeliveriesRequest(
                    webhook_id=forms.text("webhook_id", webhook_id)
                ),
                data=lambda reply: {"deliveries": [_delivery(wire) for wire in reply.deliveries]},
            )
        )


def _webhook(wire: pb.Webhook) -> dict[str, object]:
    webhook = decode_webhook(wire)
    return {**vars(webhook), "created_at": rfc822(webhook.created_at)}


def _delivery(wire: pb.Delivery) -> dict[str, object]:
    delivery = decode_delivery(wire)
    return {
        **vars(delivery),
        "created_at": rfc822(delivery.created_at),
        **{
            name: rfc822_or_none(getattr(delivery, name))
            for name in ("next_at", "delivered_at", "given_up_at")
        },
    }
