"""The schema of outputs: files that can be read, files on their way, and blobs to be deleted.

The bytes are blobs. A file's row says that all its parts are there; a blob alone says nothing.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from flow_server.storage.columns import metadata, set_at_insert

outputs = Table(
    "outputs",
    metadata,
    Column(
        "party_run_id",
        Text,
        ForeignKey("party_runs.party_run_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    # Nothing follows.
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    # The rule of the site that kept something back.
    Column("withheld", Text, nullable=False, server_default=text("''")),
    # The first of those that did not leave their site, and how many that are.
    Column("skipped", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("skipped_count", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("skipped_count >= 0", name="skipped_count"),
    CheckConstraint("complete OR (withheld = '' AND skipped_count = 0)", name="last_words"),
)


def _party_run() -> Column[str]:
    return Column(
        "party_run_id",
        Text,
        ForeignKey("outputs.party_run_id", ondelete="CASCADE"),
        primary_key=True,
    )


# At most one per name; it can't be read.
output_uploads = Table(
    "output_uploads",
    metadata,
    _party_run(),
    # Of the name, which may be longer than what an index holds.
    Column("name_key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # The site's own word for these very bytes.
    Column("upload_id", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    # The folder of its parts.
    Column("blob", Text, nullable=False),
    # The first ones, without a gap.
    Column("stored_parts", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("bytes > 0", name="bytes"),
    CheckConstraint(
        "stored_parts >= 0 AND (CAST(stored_parts AS bigint) - 1) * 8388608 < bytes",
        name="stored_parts",
    ),
)

# At most one per name, whole.
output_files = Table(
    "output_files",
    metadata,
    _party_run(),
    Column("name_key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("upload_id", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    # Many small files lie in one.
    Column("blob", Text, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False, server_default=text("0")),
    set_at_insert("stored_at"),
    CheckConstraint("bytes >= 0 AND offset_bytes >= 0", name="bytes"),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    Index("ix_output_files_party_run_id_blob", "party_run_id", "blob"),
)

# Blobs of files that others took the place of, or that were given up. Those of a deleted run go
# with its folder.
output_rubbish = Table(
    "output_rubbish",
    metadata,
    Column("blob", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("party_run_id", Text, nullable=False),
    set_at_insert("deleted_at"),
)
