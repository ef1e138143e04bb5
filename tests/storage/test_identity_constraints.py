"""What must never happen to identities and the audit log: one sentence per rule of the schema."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import DBAPIError

from flow_server.storage.identity_tables import audit, certificates, enrolments, tokens, users
from tests.storage.never import Never, insert_valid, refuse

_T = datetime(2026, 1, 1, tzinfo=UTC)
_HASH = "0" * 64
ROWS = {
    users: {"name": "ana", "role": "researcher"},
    tokens: {
        "token_id": "0123456789ab",
        "user_name": "ana",
        "secret_hash": _HASH,
        "created_at": _T,
        "expires_at": _T + timedelta(days=1),
    },
    enrolments: {
        "token_id": "0123456789ab",
        "federated_id": "north",
        "secret_hash": _HASH,
        "created_by": "ana",
        "expires_at": _T,
    },
    certificates: {
        "serial": "01",
        "federated_id": "north",
        "key_hash": _HASH,
        "certificate_pem": "",
        "not_before": _T,
        "not_after": _T + timedelta(days=1),
    },
    audit: {
        "sequence": 1,
        "at": _T,
        "actor_kind": "user",
        "actor": "ana",
        "address": "",
        "action": "",
        "subject_kind": "",
        "subject_id": "",
        "outcome": "done",
        "detail": {},
        "previous_hash": "0" * 64,
        "hash": "1" * 64,
    },
}
_NEXT = {"sequence": 2, "previous_hash": "1" * 64, "hash": "2" * 64}

NEVER = [
    Never(
        sentence="a role that nobody knows",
        rule="ck_users_role",
        table=users,
        change={"role": "king"},
    ),
    Never(
        sentence="a token of nobody",
        rule="fk_tokens_user_name",
        table=tokens,
        change={"user_name": "gone"},
    ),
    Never(
        sentence="a token whose secret stands there in clear",
        rule="ck_tokens_secret_hash",
        table=tokens,
        change={"secret_hash": "A" * 43},
    ),
    Never(
        sentence="a token that was never good",
        rule="ck_tokens_expires",
        table=tokens,
        change={"expires_at": _T},
    ),
    Never(
        sentence="an enrolment whose secret stands there in clear",
        rule="ck_enrolments_secret_hash",
        table=enrolments,
        change={"secret_hash": "A" * 43},
    ),
    Never(
        sentence="an enrolment that was used by no key",
        rule="ck_enrolments_used",
        table=enrolments,
        change={"used_at": _T},
    ),
    Never(
        sentence="a key that used an enrolment at no time",
        rule="ck_enrolments_used",
        table=enrolments,
        change={"used_for_key": _HASH},
    ),
    Never(
        sentence="an enrolment that is used and void",
        rule="ck_enrolments_used_or_void",
        table=enrolments,
        change={"used_at": _T, "used_for_key": _HASH, "voided_at": _T},
    ),
    Never(
        sentence="two enrolments of one party that can be used",
        rule="uq_enrolments_open",
        table=enrolments,
        change={"token_id": "other"},
        adds=True,
    ),
    Never(
        sentence="a certificate that was never good",
        rule="ck_certificates_validity",
        table=certificates,
        change={"not_after": _T},
    ),
    Never(
        sentence="an entry before the first",
        rule="ck_audit_sequence",
        table=audit,
        change=_NEXT | {"sequence": 0},
        adds=True,
    ),
    Never(
        sentence="an act that ended in no known way",
        rule="ck_audit_outcome",
        table=audit,
        change=_NEXT | {"outcome": "forgotten"},
        adds=True,
    ),
    Never(
        sentence="two entries after the same one",
        rule="uq_audit_previous_hash",
        table=audit,
        change=_NEXT | {"previous_hash": "0" * 64},
        adds=True,
    ),
    Never(
        sentence="two entries of one hash",
        rule="uq_audit_hash",
        table=audit,
        change=_NEXT | {"hash": "1" * 64},
        adds=True,
    ),
]


@pytest.mark.parametrize("never", NEVER, ids=lambda never: never.sentence)
async def test_never(never, engine):
    await refuse(engine, ROWS, never)


@pytest.mark.parametrize(
    "statement", [update(audit).values(actor="ben"), audit.delete()], ids=["changed", "deleted"]
)
async def test_an_entry_of_the_audit_log_is_never(statement, engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        with pytest.raises(DBAPIError, match="append-only"):
            async with connection.begin_nested():
                await connection.execute(statement)


async def test_a_party_may_be_enrolled_again_once_its_token_was_used(engine):
    async with engine.begin() as connection:
        await insert_valid(connection, ROWS)
        await connection.execute(update(enrolments).values(used_at=_T, used_for_key=_HASH))
        await connection.execute(insert(enrolments).values(ROWS[enrolments] | {"token_id": "b"}))
