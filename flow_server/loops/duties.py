"""The server's background duties, each one small and safe to begin again at any time."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from flow_server.hub.registry import Registry
from flow_server.services.absences import AbsenceService
from flow_server.services.admissions import AdmissionService
from flow_server.services.delivery import DeliveryService
from flow_server.services.event_feed import EventFeed
from flow_server.services.event_retention import EventRetentionService
from flow_server.services.parties import PartyService
from flow_server.services.retention import RetentionService
from flow_server.services.retries import RetryService
from flow_server.services.sign_in import SignIn
from flow_server.services.vigil import Vigil
from flow_server.services.watches import Watches
from flow_server.services.webhook_sending import WebhookSender
from flow_server.storage.changes import Listener
from flow_server.storage.embedded import EmbeddedPostgres

log = structlog.get_logger()


async def revive_database(embedded: EmbeddedPostgres) -> None:
    """Start the embedded PostgreSQL again whenever it ends without being asked."""
    while True:
        if embedded.pid is not None:
            log.error("embedded_database_died", message=await embedded.died())
            await embedded.aclose()
        await embedded.start()


async def renew_leases(
    parties: PartyService,
    registry: Registry,
    admissions: AdmissionService,
    vigil: Vigil,
    *,
    every_s: float,
    done: Callable[[], None],
) -> None:
    """Renew this replica's leases: one statement, however many agents it has.

    A connection that turns out to be another replica's by now is ended, and one whose
    certificate has run out. The others hear over how long to come back, should this server be
    gone. `done` is called after each round, here and below.
    """
    while True:
        admissions.end_expired()
        # Those that are here before the statement: a newer one it may not have seen.
        held = list(registry)
        epochs = await parties.renew_leases(
            [(session.federated_id, session.epoch) for session in held]
        )
        vigil.keep()
        registry.keep(epochs, among=held)
        registry.pace()
        done()
        await asyncio.sleep(every_s)


async def sweep_absences(
    absences: AbsenceService, *, every_s: float, done: Callable[[], None]
) -> None:
    """Apply deadlines and expired leases."""
    while True:
        await absences.sweep()
        done()
        await asyncio.sleep(every_s)


async def repeat_failed_runs(
    retries: RetryService, *, every_s: float, done: Callable[[], None]
) -> None:
    """Start failed runs again whose time has come."""
    while True:
        # Again at once while there is more than one sweep takes.
        has_more = await retries.sweep()
        done()
        if not has_more:
            await asyncio.sleep(every_s)


async def delete_old_runs(
    retention: RetentionService, *, every_s: float, done: Callable[[], None]
) -> None:
    """Delete what is older, or more, than is to be kept."""
    while True:
        if deleted := await retention.sweep():
            log.info("old_runs_deleted", runs=deleted)
        done()
        await asyncio.sleep(every_s)


async def delete_old_events(
    retention: EventRetentionService,
    sender: WebhookSender,
    *,
    every_s: float,
    done: Callable[[], None],
) -> None:
    """Delete what is older than is to be kept."""
    while True:
        if deleted := await retention.sweep():
            log.info("old_events_deleted", events=deleted)
        await sender.delete_ended()
        done()
        await asyncio.sleep(every_s)


async def note_token_uses(sign_in: SignIn, *, every_s: float, done: Callable[[], None]) -> None:
    """Write down which tokens were used, in one statement for all."""
    while True:
        await asyncio.sleep(every_s)
        await sign_in.note_uses()
        done()


async def listen_for_changes(
    make_listener: Callable[[], Listener],
    *,
    delivery: DeliveryService,
    watches: Sequence[Watches],
    feeds: Sequence[EventFeed],
    admissions: AdmissionService,
    sign_in: SignIn,
    registry: Registry,
    on_listening: Callable[[], None],
) -> None:
    """Pass wake-ups on. After a gap everybody looks at the rows, since some may be missed."""

    def catch_up() -> None:
        delivery.wake_parties(registry.connected())
        # Before anybody asks again who waits.
        sign_in.forget_all()
        for watched in watches:
            watched.wake_all()
        for feed in feeds:
            feed.wake()
        admissions.wake_all()
        on_listening()

    await make_listener().listen(catch_up)
