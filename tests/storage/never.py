"""How a page of sentences about the schema is checked: each sentence is a row that is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    UniqueConstraint,
    insert,
    update,
)
from sqlalchemy.exc import IntegrityError


@dataclass(frozen=True, kw_only=True)
class Never:
    """A row that `rule` must refuse: `change` applied to the valid row of `table`.

    The valid row of every table is there already; `first` is applied to `table`'s before.
    `adds` inserts a second row instead of changing the first.
    """

    sentence: str
    rule: str
    table: Any
    change: dict[str, Any]
    first: dict[str, Any] | None = None
    adds: bool = False


async def insert_valid(connection: Any, rows: Mapping[Any, dict[str, Any]]) -> None:
    """Insert the valid row of each table."""
    for table, row in rows.items():
        await connection.execute(insert(table).values(row))


async def refuse(engine: Any, rows: Mapping[Any, dict[str, Any]], never: Never) -> None:
    """Fail unless the schema refuses it, by that very rule."""
    async with engine.begin() as connection:
        await insert_valid(connection, rows)
        if never.first is not None:
            await connection.execute(update(never.table).values(never.first))
        statement = (
            insert(never.table).values(rows.get(never.table, {}) | never.change)
            if never.adds
            else update(never.table).values(never.change)
        )
        with pytest.raises(IntegrityError) as caught:
            async with connection.begin_nested():
                await connection.execute(statement)
    assert f'constraint "{never.rule}"' in str(caught.value)


def rules_of(tables: Iterable[Any]) -> set[str]:
    """Return the names of all rules but primary keys."""
    rules = set()
    for table in tables:
        rules |= {
            str(constraint.name)
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint | UniqueConstraint | ForeignKeyConstraint)
        }
        rules |= {str(index.name) for index in table.indexes if index.unique}
    return rules
