"""Webhooks: who is told that a run has ended, and each thing that was to be told."""

from dataclasses import dataclass
from datetime import datetime

from flow_contract import checks
from flow_contract.errors import InvalidArgument

MIN_SECRET_CHARS = 16
MAX_SECRET_CHARS = 256
MAX_URL_CHARS = 2048


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Whom to tell; `task_id` "" is every task, of the owner or, with `of_all`, of everybody."""

    webhook_id: str
    owner: str
    of_all: bool
    task_id: str
    url: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One end of a run, told to one webhook.

    `next_at` is None once it is delivered or given up. `http_status` and `problem` are of the
    last attempt; 0 where no answer came.
    """

    delivery_id: str
    webhook_id: str
    event_id: int
    attempts: int
    created_at: datetime
    next_at: datetime | None
    delivered_at: datetime | None
    given_up_at: datetime | None
    http_status: int
    problem: str


def check_secret(secret: str) -> None:
    """Accept a secret to sign with, or "" for one that the server makes.

    Raises:
        InvalidArgument: it is too short or too long.
    """
    checks.text("secret", secret, max_chars=MAX_SECRET_CHARS)
    if secret and len(secret) < MIN_SECRET_CHARS:
        raise InvalidArgument(
            f"secret: give at least {MIN_SECRET_CHARS} characters, or none: then the server "
            "makes one",
            field="secret",
        )
