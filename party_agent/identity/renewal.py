"""Renewing in good time: a new key, a new certificate, and the old one until the new one works."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import grpc.aio
import structlog

from flow_wire import agents_pb2, agents_pb2_grpc
from party_agent.backoff import Backoff
from party_agent.clock import Clock
from party_agent.identity import files
from party_agent.identity.doors import explain, secure_channel
from party_agent.identity.files import Identity, IdentityMissing, IdentityUnusable
from party_agent.identity.keys import (
    CertificateFacts,
    CertificateUnfit,
    check_certificate,
    make_key,
    make_request,
)
from party_agent.settings import AgentSettings

# Of a certificate's life on this machine. The rest is for a server that is away.
RENEW_AT = 2 / 3
# Sites that were enrolled together do not renew together.
SPREAD = 0.1
# Wall clocks jump and machines sleep: nobody waits for longer than this without looking.
LOOK_S = 900.0
ANSWER_S = 30.0
FIRST_RETRY_S = 30.0
LONGEST_RETRY_S = 3600.0
# Of the life, when a warning becomes an error.
ALARM_AT = 0.9

PENDING = "renewal"

_OPTIONS = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))

log = structlog.get_logger()


class RenewalFailed(Exception):
    """The certificate stays as it is for now; the message says why."""


def due_at(*, received_at: datetime, not_after: datetime, chance: float) -> datetime:
    """Return when a certificate is to be renewed; `chance` in [0, 1) spreads sites a little."""
    return received_at + (not_after - received_at) * (RENEW_AT + SPREAD * chance)


def is_alarming(*, received_at: datetime, not_after: datetime, now: datetime) -> bool:
    """Say whether so little is left that somebody should look at it now."""
    return now >= received_at + (not_after - received_at) * ALARM_AT


def retry_s(delay_s: float, *, not_after: datetime, now: datetime) -> float:
    """Return the back-off's delay, or less: several attempts must fit into what is left."""
    left_s = max(0.0, (not_after - now).total_seconds())
    return max(1.0, min(delay_s, left_s / 5))


def renewal_of(
    settings: AgentSettings,
    *,
    clock: Clock,
    random: Callable[[], float],
    on_renewed: Callable[[], None],
) -> "Renewal | None":
    """Return what keeps the settings' certificate good, None where there is none."""
    if settings.insecure or settings.state_dir is None:
        return None
    return Renewal(
        settings.state_dir,
        target=settings.server,
        clock=clock,
        random=random,
        on_renewed=on_renewed,
    )


class Renewal:
    """Keeps one agent's certificate good. `on_renewed` is called after each swap."""

    def __init__(
        self,
        state_dir: Path,
        *,
        target: str,
        clock: Clock,
        random: Callable[[], float],
        on_renewed: Callable[[], None],
    ) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / files.FOLDER
        self._target = target
        self._clock = clock
        self._random = random
        self._chance = random()
        self._on_renewed = on_renewed
        self._backoff = Backoff(first_s=FIRST_RETRY_S, max_s=LONGEST_RETRY_S, random=random)

    async def run(self) -> NoReturn:
        """Renew whenever it is time, until cancelled."""
        while True:
            delay_s = LOOK_S
            try:
                delay_s = await self._step(files.read(self._state_dir))
            except (IdentityMissing, IdentityUnusable, CertificateUnfit) as error:
                # The link says so too, and enrolling again is what helps.
                log.error("identity_unusable", why=str(error))  # noqa: TRY400  a sentence says it
            await self._clock.sleep(delay_s)

    async def _step(self, identity: Identity) -> float:
        """Renew if it is time; return when to look again, in seconds."""
        facts = identity.facts
        due = due_at(
            received_at=identity.received_at, not_after=facts.not_after, chance=self._chance
        )
        left_s = (due - self._clock.now()).total_seconds()
        if left_s > 0:
            return min(left_s, LOOK_S)
        try:
            renewed = await self._renew(identity)
        except RenewalFailed as error:
            return self._failed(identity, facts, error)
        self._backoff.reset()
        self._chance = self._random()
        new = renewed.facts
        log.info("certificate_renewed", serial=new.serial, not_after=str(new.not_after))
        self._on_renewed()
        return 0.0

    def _failed(self, identity: Identity, facts: CertificateFacts, error: RenewalFailed) -> float:
        now = self._clock.now()
        delay_s = retry_s(self._backoff.next_s(), not_after=facts.not_after, now=now)
        alarming = is_alarming(received_at=identity.received_at, not_after=facts.not_after, now=now)
        (log.error if alarming else log.warning)(
            "certificate_not_renewed",
            why=str(error),
            not_after=str(facts.not_after),
            retry_in_s=round(delay_s, 1),
        )
        return delay_s

    async def _renew(self, identity: Identity) -> Identity:
        try:
            key_pem = self._next_key(identity)
            answer = await self._ask(identity, make_request(key_pem))
            check = check_certificate(
                answer.certificate_chain_pem,
                key_pem=key_pem,
                ca_pem=answer.ca_pem,
                now=self._clock.now(),
            )
        except (OSError, CertificateUnfit) as error:
            raise RenewalFailed(str(error)) from error
        if check.party != identity.party:
            raise RenewalFailed(f"the new certificate is party {check.party!r}'s")
        renewed = identity.renewed(
            key_pem=key_pem,
            certificate_pem=answer.certificate_chain_pem,
            ca_pem=answer.ca_pem,
            at=self._clock.now(),
        )
        await self._try(renewed)
        try:
            files.write(self._state_dir, renewed)
        except OSError as error:
            raise RenewalFailed(f"the new one can't be kept: {error}") from error
        files.drop_pending(self._folder, PENDING)
        return renewed

    def _next_key(self, identity: Identity) -> bytes:
        key_pem = files.pending_key(self._folder, PENDING, make_key())
        if key_pem == identity.key_pem:
            # It became this one, and a crash came before it was forgotten.
            files.drop_pending(self._folder, PENDING)
            key_pem = files.pending_key(self._folder, PENDING, make_key())
        return key_pem

    async def _ask(self, identity: Identity, request_pem: bytes) -> agents_pb2.RenewResponse:
        async with secure_channel(identity, self._target, _OPTIONS) as channel:
            try:
                return await agents_pb2_grpc.AgentServiceStub(channel).Renew(
                    agents_pb2.RenewRequest(certificate_request_pem=request_pem), timeout=ANSWER_S
                )
            except grpc.aio.AioRpcError as error:
                failed = error
        raise RenewalFailed(await self._reason(identity, failed))

    async def _try(self, renewed: Identity) -> None:
        """Show the new certificate once, so that the old one stays until the new one works."""
        async with secure_channel(renewed, self._target, _OPTIONS) as channel:
            check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            try:
                await check(b"", timeout=ANSWER_S)
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    failed = error
                else:
                    # Answered by the server, so the handshake was taken.
                    return
            else:
                return
        raise RenewalFailed(f"with the new one: {await self._reason(renewed, failed)}")

    async def _reason(self, identity: Identity, error: grpc.aio.AioRpcError) -> str:
        why = ""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            why = await explain(identity, self._target, now=self._clock.now())
        return why or f"{error.code().name}: {error.details()}"
