"""SQL that goes to the driver as it is written: for what happens at every start and report.

Between a statement of the expression language and the driver lie some 0.3 ms of Python, and one
run takes dozens. These run on the same connections, in the same transactions.
"""

import re
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

# `:name`, but not the second half of a cast.
_NAME = re.compile(r"(?<!:):([a-z_]+)")


class Statement:
    """One SQL text with `:name` for values. Arrays need a CAST where nothing else says the type."""

    def __init__(self, sql: str) -> None:
        self._names = tuple(dict.fromkeys(_NAME.findall(sql)))
        places = {name: f"${place}" for place, name in enumerate(self._names, 1)}
        self._sql = _NAME.sub(lambda found: places[found[1]], sql)

    async def rows(self, connection: AsyncConnection, **values: Any) -> list[asyncpg.Record]:
        """Execute, and return all rows. `values` are exactly the names in the text."""
        if values.keys() != set(self._names):
            raise TypeError(f"the statement takes {self._names}, not {tuple(values)}")
        found: list[asyncpg.Record] = await driver_of(connection).fetch(
            self._sql, *[values[name] for name in self._names]
        )
        return found


def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return the driver's own connection behind this one."""
    checked_out = connection.sync_connection
    if checked_out is None:
        raise asyncpg.InterfaceError("the connection was not opened")
    return checked_out.connection.driver_connection
