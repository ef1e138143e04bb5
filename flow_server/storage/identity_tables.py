"""The schema of identities and of what was done with them: users, tokens, certificates, audit.

No secret is stored: of a token its hash, of a key nothing.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from flow_contract.access import Role
from flow_contract.audit import Outcome
from flow_server.storage.columns import metadata, one_of, set_at_insert, time_column

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    # Signs nobody in any more; what the user owns stays.
    time_column("disabled_at"),
    set_at_insert("created_at"),
    CheckConstraint(one_of("role", Role), name="role"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("user_name", Text, ForeignKey("users.name"), nullable=False),
    Column("label", Text, nullable=False, server_default=text("''")),
    # SHA-256 of the secret, in hex.
    Column("secret_hash", Text, nullable=False),
    # Rights, as a list of strings; null means all that the role allows.
    Column("scopes", JSONB),
    set_at_insert("created_at"),
    time_column("expires_at", nullable=False),
    time_column("revoked_at"),
    # Within a minute or so: not every call writes it.
    time_column("last_used_at"),
    CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
    CheckConstraint("expires_at > created_at", name="expires"),
    Index("ix_tokens_user_name", "user_name", "created_at"),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("token_id", Text, primary_key=True),
    # No foreign key: a party has no row of its own before it connects.
    Column("federated_id", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    # Who asked for it.
    Column("created_by", Text, nullable=False),
    set_at_insert("created_at"),
    time_column("expires_at", nullable=False),
    # A token is used once or void; the key that used it may ask again for a lost answer.
    time_column("used_at"),
    Column("used_for_key", Text),
    time_column("voided_at"),
    CheckConstraint("length(secret_hash) = 64", name="secret_hash"),
    CheckConstraint("(used_at IS NULL) = (used_for_key IS NULL)", name="used"),
    CheckConstraint("used_at IS NULL OR voided_at IS NULL", name="used_or_void"),
    # A party has one token at most that can still be used.
    Index(
        "uq_enrolments_open",
        "federated_id",
        unique=True,
        postgresql_where=text("used_at IS NULL AND voided_at IS NULL"),
    ),
)

certificates = Table(
    "certificates",
    metadata,
    # The serial number, in lower-case hex.
    Column("serial", Text, primary_key=True),
    Column("federated_id", Text, nullable=False),
    # SHA-256 of the public key, in hex.
    Column("key_hash", Text, nullable=False),
    Column("certificate_pem", Text, nullable=False),
    time_column("not_before", nullable=False),
    time_column("not_after", nullable=False),
    set_at_insert("issued_at"),
    # Refused from then on, for good.
    time_column("revoked_at"),
    CheckConstraint("not_after > not_before", name="validity"),
    Index("ix_certificates_federated_id", "federated_id", "issued_at"),
)

audit = Table(
    "audit",
    metadata,
    # Counts from 1 without gaps; who appends holds the lock on the newest.
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("previous_hash", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
    CheckConstraint("sequence >= 1", name="sequence"),
    CheckConstraint(one_of("outcome", Outcome), name="outcome"),
    Index("ix_audit_subject", "subject_kind", "subject_id", "sequence"),
)

# Whoever may write at all could still take the trigger away; then the chain of hashes shows it.
_APPEND_ONLY = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
"""
_TRIGGER = """
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
"""
for _statement in (_APPEND_ONLY, _TRIGGER):
    event.listen(audit, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]
