"""The order of events, the tokens that name a place in it, and who is told what. Pure.

Events are told in the order of (transaction, event): numbers of transactions that may still
commit lie above every event that was told, so that none ever appears below.
"""

import base64
import binascii
import struct
from dataclasses import dataclass

from flow_contract.access import Caller
from flow_contract.errors import InvalidArgument
from flow_contract.events import Event, EventFilter, EventKind
from flow_server.domain.access import RULES, listed_owner

# Version, feed, transaction, event.
_TOKEN = struct.Struct(">BIQQ")
_VERSION = 1
_MAX_EVENT_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True, order=True)
class Position:
    """A place in the order: everything up to and with it has been told."""

    transaction_id: int = 0
    event_id: int = 0


@dataclass(frozen=True, kw_only=True)
class FeedEvent:
    """An event with its place and the owner of its task, None where it has none."""

    position: Position
    owner: str | None
    event: Event


def token_of(feed_id: int, position: Position) -> str:
    """Return the text that names this place of this feed."""
    packed = _TOKEN.pack(_VERSION, feed_id, position.transaction_id, position.event_id)
    return base64.urlsafe_b64encode(packed).decode()


def read_token(feed_id: int, token: str) -> Position:
    """Return the place that a token of this feed names.

    Raises:
        InvalidArgument: this feed never gave it out.
    """
    try:
        packed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        version, feed, transaction_id, event_id = _TOKEN.unpack(packed)
    except (UnicodeEncodeError, binascii.Error, ValueError, struct.error):
        raise _bad_token("it was not made by a server like this one") from None
    position = Position(transaction_id=transaction_id, event_id=event_id)
    if version != _VERSION:
        raise _bad_token("another version of the server made it")
    if event_id > _MAX_EVENT_ID or token_of(feed, position) != token:
        raise _bad_token("it was not made by a server like this one")
    if feed != feed_id:
        raise _bad_token("it is of another database, or of one that was restored since")
    return position


def is_wanted(wanted: EventFilter, event: Event) -> bool:
    """Say whether the event fits the filter; without a field that is asked for it doesn't."""
    return (
        (not wanted.task_ids or event.task_id in wanted.task_ids)
        and (not wanted.run_id or event.run_id == wanted.run_id)
        and (not wanted.federated_ids or event.federated_id in wanted.federated_ids)
        and (not wanted.kinds or event.kind in wanted.kinds)
    )


def may_see(caller: Caller, event: Event, owner: str | None) -> bool:
    """Say whether the caller may be told: of parties everybody, of tasks as it may see them."""
    if event.kind is EventKind.PARTY:
        return True
    shown = listed_owner(RULES["EventService/Watch"], caller)
    return shown is None or (owner or "") == shown != ""


def _bad_token(why: str) -> InvalidArgument:
    return InvalidArgument(
        f"token: {why}; begin anew without one, or with from_beginning", field="token"
    )
