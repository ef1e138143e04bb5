"""Use cases of parties' identities: add, enrol, renew, revoke."""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flow_contract import checks
from flow_contract.errors import (
    Exhausted,
    InvalidArgument,
    Kind,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from flow_contract.ids import is_party_id
from flow_contract.secrets import (
    ID_BYTES,
    SECRET_BYTES,
    Secret,
    make_secret,
    write_enrolment,
)
from flow_server.pki.authority import Authority
from flow_server.pki.requests import SigningRequest, read_request
from flow_server.services import transitions
from flow_server.services.admissions import not_admitted
from flow_server.storage import certificates, enrolments, losses, parties, runs
from flow_server.storage.certificates import Certificate
from flow_server.storage.database import Connection, Database

DEFAULT_VALID_HOURS = 24
MAX_VALID_HOURS = 168
# Two while one is rotated; more than this is an agent that asks in a loop.
MAX_GOOD_CERTIFICATES = 20

_TOKEN_ID = re.compile(r"[0-9a-f]{12}")
_MAX_SECRET_CHARS = 100

_REFUSED = (
    "this enrolment token can't be used: it is wrong, too old, was used, or a newer one was "
    "made; ask the server's operator for another ('fedflow party add')"
)


@dataclass(frozen=True, kw_only=True)
class Identities:
    """What a replica signs with, and what it tells those who enrol.

    `authority` is None where no signing key is kept. `known_by_pem` is the CA by which clients
    know the server, `known_by_der` the same in the form that a token carries. `signed_by_pem`
    stands behind each certificate: who signs parties, where that is somebody else.
    """

    authority: Authority | None
    known_by_pem: bytes
    known_by_der: bytes
    certificate_days: float
    now: Callable[[], datetime]
    signed_by_pem: bytes = b""


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """An enrolment token in clear, once."""

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A party's certificate and the CA by which it knows the server, PEM."""

    federated_id: str
    certificate_pem: bytes
    ca_pem: bytes


class EnrolmentService:
    """Gives parties their identities and takes them away. None for a server without any."""

    def __init__(self, database: Database, identities: Identities | None) -> None:
        self._database = database
        self._identities = identities

    async def add(self, federated_id: str, *, valid_hours: int | None, asked_by: str) -> NewToken:
        """Return a one-time token for the party; older ones that were not used are void.

        Raises:
            InvalidArgument: the id can't name a party, or the time is out of bounds.
            Unavailable: this replica can't sign, so that its token might lead nowhere.
        """
        identities, _ = self._signing()
        if not is_party_id(federated_id):
            raise InvalidArgument(
                f"federated_id: {federated_id[:80]!r} is not a party id "
                "(1 to 63 letters, digits, '_', '.' or '-')",
                field="federated_id",
            )
        hours = DEFAULT_VALID_HOURS if valid_hours is None else valid_hours
        checks.number("valid_hours", hours, least=1, most=MAX_VALID_HOURS)
        secret = make_secret(secrets.token_bytes(SECRET_BYTES + ID_BYTES))
        async with self._database.transaction() as connection:
            await certificates.lock_identity(connection, federated_id)
            await enrolments.void_open(connection, federated_id)
            expires_at = await enrolments.insert_enrolment(
                connection,
                token_id=secret.token_id,
                federated_id=federated_id,
                secret_hash=secret.digest,
                created_by=asked_by,
                valid_for=timedelta(hours=hours),
            )
        return NewToken(
            text=write_enrolment(secret, identities.known_by_der), expires_at=expires_at
        )

    async def enrol(self, secret: Secret, request_pem: bytes) -> Issued:
        """Sign a party's first key. The same token with the same key is answered again.

        Raises:
            Unauthenticated: the token can't be used; why is not said.
            InvalidArgument: the request can't be signed.
            Unavailable: this replica can't sign.
        """
        identities, authority = self._signing()
        async with self._database.transaction() as connection:
            federated_id = await _proven(connection, secret)
            # Only now: checking a signature costs, and anybody may knock.
            request = read_request(request_pem)
            await certificates.lock_identity(connection, federated_id)
            token = await enrolments.get_enrolment(connection, secret.token_id)
            if token is None or token.is_void:
                raise _refused()
            if token.used_for_key is not None:
                issued = await _same_again(connection, federated_id, request, token.used_for_key)
            else:
                if not await enrolments.use_enrolment(
                    connection, token_id=secret.token_id, key_hash=request.key_hash
                ):
                    raise _refused()
                issued = await _sign(connection, identities, authority, federated_id, request)
        return _issued(identities, issued)

    async def renew(self, federated_id: str, serial: str, request_pem: bytes) -> Issued:
        """Sign another key of the party that has shown the certificate `serial`.

        The same key is answered with the same certificate, for the answer that was lost.

        Raises:
            Forbidden: that certificate is not good any more.
            InvalidArgument: the request can't be signed.
            Exhausted: the party has far more good certificates than it can need.
            Unavailable: this replica can't sign.
        """
        identities, authority = self._signing()
        request = read_request(request_pem)
        async with self._database.transaction() as connection:
            await certificates.lock_identity(connection, federated_id)
            shown = await certificates.good_one(
                connection, federated_id=federated_id, serial=serial
            )
            if shown is None:
                raise not_admitted(federated_id)
            issued = await certificates.good_one_for_key(
                connection, federated_id=federated_id, key_hash=request.key_hash
            )
            if issued is None or issued.serial == serial:
                issued = await _sign(connection, identities, authority, federated_id, request)
        return _issued(identities, issued)

    async def revoke(self, federated_id: str) -> None:
        """Refuse the party's certificates for good and end its connection; twice is once.

        What it had lost is given up: nobody is to wait for it any more.

        Raises:
            NotFound: nothing is known of such a party.
        """
        checks.text("federated_id", federated_id)
        async with self._database.transaction() as connection:
            await certificates.lock_identity(connection, federated_id)
            voided = await enrolments.void_open(connection, federated_id)
            revoked = await certificates.revoke_all(connection, federated_id)
            if not voided and not revoked and not await _is_known(connection, federated_id):
                raise NotFound(
                    f"party not found: {federated_id[:64]!r}; check the id",
                    kind=Kind.PARTY,
                    subject_id=federated_id[:64],
                    field="federated_id",
                )
            await _give_up(connection, federated_id)
            await certificates.cut_off(connection, federated_id)

    def _signing(self) -> tuple[Identities, Authority]:
        if self._identities is None:
            raise Unavailable(
                "this server was started with --insecure and has no identities to give; start it "
                "without",
                kind=Kind.SERVER,
            )
        if self._identities.authority is None:
            raise Unavailable(
                "this replica holds no signing key (ca.key); ask the one that does",
                kind=Kind.SERVER,
            )
        return self._identities, self._identities.authority


async def _proven(connection: Connection, secret: Secret) -> str:
    """Return the party of a token that is right and may still be used."""
    if _TOKEN_ID.fullmatch(secret.token_id) is None or len(secret.secret) > _MAX_SECRET_CHARS:
        raise _refused()
    token = await enrolments.get_enrolment(connection, secret.token_id)
    # Compared in any case, so that the time taken doesn't tell whether there is such a token.
    expected = token.secret_hash if token is not None else "0" * 64
    is_right = hmac.compare_digest(secret.digest, expected)
    if token is None or not is_right or token.is_void:
        raise _refused()
    return token.federated_id


async def _same_again(
    connection: Connection, federated_id: str, request: SigningRequest, used_for_key: str
) -> Certificate:
    if not hmac.compare_digest(request.key_hash, used_for_key):
        raise _refused()
    issued = await certificates.good_one_for_key(
        connection, federated_id=federated_id, key_hash=request.key_hash
    )
    if issued is None:
        raise _refused()
    return issued


async def _sign(
    connection: Connection,
    identities: Identities,
    authority: Authority,
    federated_id: str,
    request: SigningRequest,
) -> Certificate:
    if await certificates.count_good(connection, federated_id) >= MAX_GOOD_CERTIFICATES:
        raise Exhausted(
            f"party {federated_id!r} has {MAX_GOOD_CERTIFICATES} certificates that are good; "
            "revoke the party, or wait until some have expired",
            kind=Kind.PARTY,
            subject_id=federated_id,
        )
    signed = authority.sign_party(
        request,
        federated_id=federated_id,
        now=identities.now(),
        days=identities.certificate_days,
    )
    issued = Certificate(
        serial=signed.serial,
        federated_id=federated_id,
        key_hash=signed.key_hash,
        certificate_pem=signed.certificate_pem.decode(),
        not_before=signed.not_before,
        not_after=signed.not_after,
    )
    await certificates.insert_certificate(connection, issued)
    return issued


def _issued(identities: Identities, certificate: Certificate) -> Issued:
    return Issued(
        federated_id=certificate.federated_id,
        certificate_pem=certificate.certificate_pem.encode() + identities.signed_by_pem,
        ca_pem=identities.known_by_pem,
    )


async def _give_up(connection: Connection, federated_id: str) -> None:
    run_ids = await losses.runs_that_lost(connection, federated_id)
    if not run_ids:
        return
    await runs.lock_runs(connection, run_ids)
    for run_id in run_ids:
        await losses.give_up(connection, run_id, federated_id=federated_id)
    # Read again: giving up may have changed what they amount to.
    await transitions.settle(connection, await runs.lock_runs(connection, run_ids))


async def _is_known(connection: Connection, federated_id: str) -> bool:
    return (
        await certificates.is_known(connection, federated_id)
        or await enrolments.is_known(connection, federated_id)
        or bool(await parties.presence_of(connection, [federated_id]))
    )


def _refused() -> Unauthenticated:
    return Unauthenticated(_REFUSED, kind=Kind.PARTY)
