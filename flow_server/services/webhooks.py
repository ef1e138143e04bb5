"""Use cases of webhooks: make one, list them, delete one, see what became of its deliveries."""

import secrets
from collections.abc import Collection

from flow_contract import checks
from flow_contract.access import Caller, CallerKind
from flow_contract.errors import Exhausted, Forbidden, Kind
from flow_contract.ids import new_id
from flow_contract.webhooks import Delivery, Webhook, check_secret
from flow_server.domain.access import RULES, decide, listed_owner, owner_name
from flow_server.domain.webhooks import target_of
from flow_server.storage import tasks, webhooks
from flow_server.storage.database import Database

MOST_PER_OWNER = 50


class WebhookService:
    """Keeps webhooks. `allowed` names private places that they may lead to."""

    def __init__(self, database: Database, *, allowed: Collection[str]) -> None:
        self._database = database
        self._allowed = allowed

    async def create(
        self, *, url: str, task_id: str, secret: str, of_all: bool, caller: Caller
    ) -> tuple[str, str]:
        """Store a webhook; return its id and its secret, which nobody is shown again.

        Raises:
            InvalidArgument: the URL leads where none may, or the secret is too short.
            NotFound: no such task.
            Forbidden: the task is another user's, or everybody's are not for this caller.
            Exhausted: the caller has too many.
        """
        rule = RULES["WebhookService/Create"]
        checks.text("task_id", task_id, max_chars=64)
        check_secret(secret)
        target_of(url, allowed=self._allowed)
        if of_all and caller.kind is not CallerKind.LOCAL and rule.any_of.isdisjoint(caller.rights):
            raise Forbidden("webhooks of everybody's tasks are for operators and admins")
        owner = owner_name(caller)
        webhook_id, secret = new_id(), secret or secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            if task_id:
                task_owner = await tasks.owner_of(connection, task_id)
                decide(RULES["TaskService/Get"], caller, task_owner)
                of_all = of_all or task_owner != owner
            if await webhooks.count_of(connection, owner) >= MOST_PER_OWNER:
                raise Exhausted(
                    f"you have {MOST_PER_OWNER} webhooks already; delete one", kind=Kind.WEBHOOK
                )
            await webhooks.insert_webhook(
                connection,
                {
                    "webhook_id": webhook_id,
                    "owner": owner,
                    "of_all": of_all,
                    "task_id": task_id or None,
                    "url": url,
                    "secret": secret,
                },
            )
        return webhook_id, secret

    async def delete(self, webhook_id: str, *, caller: Caller) -> None:
        """Delete a webhook. Raises NotFound, Forbidden (another user's)."""
        checks.text("webhook_id", webhook_id)
        async with self._database.transaction() as connection:
            owner = await webhooks.owner_of(connection, webhook_id)
            decide(RULES["WebhookService/Delete"], caller, owner)
            await webhooks.delete_webhook(connection, webhook_id)

    async def deliveries(self, webhook_id: str, *, caller: Caller) -> list[Delivery]:
        """Return its newest deliveries. Raises NotFound, Forbidden (another user's)."""
        checks.text("webhook_id", webhook_id)
        async with self._database.glance() as connection:
            owner = await webhooks.owner_of(connection, webhook_id)
            decide(RULES["WebhookService/ListDeliveries"], caller, owner)
            return await webhooks.list_deliveries(connection, webhook_id)

    async def list(self, *, caller: Caller) -> list[Webhook]:
        """Return the caller's webhooks, or all that there are where they are its to see."""
        owner = listed_owner(RULES["WebhookService/List"], caller)
        async with self._database.glance() as connection:
            return await webhooks.list_webhooks(connection, owner)
