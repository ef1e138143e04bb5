"""Deleting ended runs by age and by number, a few at a time.

What is never deleted: a task's newest run, what has not ended, what is to be repeated, and what is
being repeated as long as the last repeat has not ended. Party runs and events go with their run.
"""

from datetime import timedelta

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.types import Interval

from flow_server.storage.database import Connection


def _delete(which: str) -> TextClause:
    return text(
        f"""
        WITH old AS (
          SELECT run_id FROM runs JOIN tasks USING (task_id)
          WHERE runs.ended_at IS NOT NULL AND runs.retry_at IS NULL
            AND runs.run_id IS DISTINCT FROM tasks.latest_run_id
            -- A wait follows a run to its repeats: those of the newest are its predecessors.
            AND NOT EXISTS (
              SELECT FROM runs AS newest WHERE newest.run_id = tasks.latest_run_id
                AND (newest.ended_at IS NULL OR newest.retry_at IS NOT NULL)
                AND runs.number
                  BETWEEN newest.number - newest.retry_number AND newest.number
            )
            AND {which}
          LIMIT :limit
          -- Whoever else deletes at this moment takes others.
          FOR UPDATE OF runs SKIP LOCKED
        )
        DELETE FROM runs USING old WHERE runs.run_id = old.run_id
        """  # noqa: S608 - a literal of this file
    )


_OLDER = _delete("runs.ended_at < now() - :age").bindparams(bindparam("age", type_=Interval))
# Runs of a task are numbered without a gap.
_MORE = _delete("tasks.run_count > :kept AND runs.number <= tasks.run_count - :kept")


async def delete_older(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete up to `limit` runs that ended longer ago than `age`; return how many."""
    return (await connection.execute(_OLDER, {"age": age, "limit": limit})).rowcount


async def delete_more(connection: Connection, *, kept: int, limit: int) -> int:
    """Delete up to `limit` runs that have `kept` newer ones of their task; return how many."""
    return (await connection.execute(_MORE, {"kept": kept, "limit": limit})).rowcount
