"""Enrolling: a one-time token and a new key in, this site's identity out.

The server is trusted by the CA that came in the token and by nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import grpc

from flow_contract.secrets import Enrolment
from flow_wire import enrolment_pb2, enrolment_pb2_grpc
from party_agent.identity import files
from party_agent.identity.explain import why_no_tls
from party_agent.identity.files import Identity
from party_agent.identity.keys import (
    CertificateUnfit,
    check_certificate,
    holds_certificate,
    make_key,
    make_request,
    to_pem,
)

ANSWER_S = 30.0
ATTEMPTS = 3
PAUSE_S = 1.0

_OPTIONS = (("grpc.enable_retries", 0),)
# The answer may have been lost on its way, and the same key asks again.
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class EnrolmentFailed(Exception):
    """This site has no new identity; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the server has given, not kept yet."""

    identity: Identity
    not_after: datetime


def enrol(
    server: str,
    token: Enrolment,
    *,
    pending: Path,
    now: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
) -> Answered:
    """Ask `server` (host:port, the users') for this token's certificate, and check the answer.

    The key is kept in the folder `pending` until `files.drop_pending`, so that an answer that
    was lost can be asked for again, with the same token, also by another process.

    Raises:
        EnrolmentFailed: the server refused, could not be reached, or its answer is of no use.
        IdentityUnusable: others could read the key that is kept.
        OSError: the key can't be kept.
    """
    try:
        ca_pem = to_pem(token.ca_der)
    except CertificateUnfit:
        raise EnrolmentFailed(
            "the token was cut or changed on its way; copy it whole, or ask for another"
        ) from None
    key_pem = files.pending_key(pending, token.token_id, make_key())
    try:
        request_pem = make_request(key_pem)
    except CertificateUnfit as error:
        raise EnrolmentFailed(
            f"{pending}/pending-{token.token_id}.pem: {error}; remove the file and ask for another "
            "token"
        ) from None
    request = enrolment_pb2.EnrolRequest(
        token_id=token.token_id, secret=token.secret, certificate_request_pem=request_pem
    )
    answer = _ask(server, request, ca_pem, pause)
    return _checked(server, answer, token=token, key_pem=key_pem, now=now())


def _ask(
    server: str,
    request: enrolment_pb2.EnrolRequest,
    ca_pem: bytes,
    pause: Callable[[float], None],
) -> enrolment_pb2.EnrolResponse:
    credentials = grpc.ssl_channel_credentials(ca_pem)
    attempt = 1
    while True:
        with grpc.secure_channel(server, credentials, options=_OPTIONS) as channel:
            try:
                return enrolment_pb2_grpc.EnrolmentServiceStub(channel).Enrol(
                    request, timeout=ANSWER_S
                )
            except grpc.RpcError as error:
                code, details = error.code(), error.details()
        if code not in _LOST:
            raise _refused(server, code, details or "")
        why = why_no_tls(server, ca_pem=ca_pem)
        if why or attempt == ATTEMPTS:
            raise EnrolmentFailed(
                f"{server} can't be reached: {why or details}. The token was not lost: run this "
                "again with the same one"
            )
        attempt += 1
        pause(PAUSE_S)


def _refused(server: str, code: grpc.StatusCode, details: str) -> EnrolmentFailed:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return EnrolmentFailed(f"what answers at {server} enrols nobody; is the port right?")
    return EnrolmentFailed(f"{server} refused: {details}")


def _checked(
    server: str,
    answer: enrolment_pb2.EnrolResponse,
    *,
    token: Enrolment,
    key_pem: bytes,
    now: datetime,
) -> Answered:
    if not holds_certificate(answer.ca_pem, token.ca_der):
        raise EnrolmentFailed(
            f"{server} answered with another CA than the token's, and is not believed; "
            "ask its operator for another token"
        )
    try:
        facts = check_certificate(
            answer.certificate_chain_pem, key_pem=key_pem, ca_pem=answer.ca_pem, now=now
        )
    except CertificateUnfit as error:
        raise EnrolmentFailed(f"{server}'s answer is of no use: {error}") from None
    if facts.party != answer.federated_id:
        raise EnrolmentFailed(
            f"{server}'s answer is of no use: it says party {answer.federated_id[:64]!r}, and the "
            f"certificate says {facts.party!r}"
        )
    identity = Identity(
        party=facts.party,
        server=server,
        agents_address=_agents_address(server, answer.agents_address),
        key_pem=key_pem,
        certificate_pem=answer.certificate_chain_pem,
        ca_pem=answer.ca_pem,
        received_at=now,
    )
    return Answered(identity=identity, not_after=facts.not_after)


def _agents_address(server: str, told: str) -> str:
    """Return where agents connect; an empty host means the one that was dialled."""
    host, colon, port = told.rpartition(":")
    is_port = port.isascii() and port.isdigit()
    if not colon or not is_port:
        raise EnrolmentFailed(
            f"{server} did not say where agents connect; its operator sets --agents-address"
        )
    return f"{host or server.rpartition(':')[0]}:{port}"
