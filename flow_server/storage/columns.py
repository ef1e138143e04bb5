"""What the tables have in common: how constraints are called, and the columns that recur."""

import enum
from typing import Any

from sqlalchemy import Column, DateTime, MetaData, text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# What a member of a run is called wherever its party is named: a party by its id, and a
# coordinator as such, since its party may take part in the run as well.
MEMBER = "CASE WHEN role = 'coordinator' THEN 'coordinator' ELSE federated_id END"


def one_of(column: str, members: list[Any] | type[enum.StrEnum]) -> str:
    """Return the condition that the column holds one of the members."""
    return f"{column} IN ({', '.join(repr(str(member.value)) for member in members)})"


_NOW = text("now()")


def time_column(name: str, *, nullable: bool = True) -> Column[Any]:
    """Return a column of aware times."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def set_at_insert(name: str) -> Column[Any]:
    """Return a column that says when its row came."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=_NOW)
