"""How many there are of what: one statement that reads indexes, for an operator's eyes."""

from collections import defaultdict
from collections.abc import Mapping

from flow_server.storage.database import Connection
from flow_server.storage.statements import Statement

_CENSUS = Statement(
    """
    SELECT 'active_runs' AS what, status AS which, count(*) AS number
    FROM runs WHERE ended_at IS NULL GROUP BY status
    UNION ALL
    SELECT 'runs_ended_last_hour', status, count(*)
    FROM runs WHERE ended_at > now() - interval '1 hour' GROUP BY status
    UNION ALL
    SELECT 'active_party_runs', state, count(*)
    FROM party_runs WHERE finished_at IS NULL GROUP BY state
    UNION ALL
    SELECT 'parties',
           CASE WHEN owner_id IS NULL OR lease_expires_at <= now() THEN 'absent'
                WHEN draining OR agent_draining THEN 'draining'
                ELSE 'connected' END AS presence, count(*)
    FROM parties GROUP BY presence
    """
)


async def take(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """Return the numbers: active runs and recently ended ones by status, party runs, parties."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await _CENSUS.rows(connection):
        found[row["what"]][row["which"]] = row["number"]
    return found
