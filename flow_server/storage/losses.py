"""Party runs of sites that are gone: who they are, and giving them up on request."""

from sqlalchemy import text

from flow_contract.lifecycle import PartyRunEvent, PartyRunState, next_state
from flow_contract.reasons import Reason, sentence
from flow_server.storage.columns import MEMBER
from flow_server.storage.database import Connection

_LOST_PARTIES = text(
    f"""
    SELECT {MEMBER} FROM party_runs WHERE run_id = :run_id AND state = :lost ORDER BY rank
    """  # noqa: S608 - a literal of flow_server.storage.columns
)

# The parties' present connections end with it, live or not. What its agent is wanted to do is
# told whole at the beginning of a connection: on the next one, this is no longer part of it.
_GIVE_UP = text(
    """
    WITH held AS (
      SELECT federated_id FROM parties
      WHERE federated_id IN (
        SELECT federated_id FROM party_runs WHERE run_id = :run_id AND state = :lost
          AND federated_id = coalesce(CAST(:federated_id AS text), federated_id))
      ORDER BY federated_id FOR UPDATE
    ), cut AS (
      UPDATE parties SET epoch = epoch + 1, owner_id = NULL
      FROM held WHERE parties.federated_id = held.federated_id
    ), moved AS (
      UPDATE party_runs SET state = :state, reason = :reason, message = :message,
                            finished_at = now()
      WHERE run_id = :run_id AND state = :lost
        AND federated_id = coalesce(CAST(:federated_id AS text), federated_id)
      RETURNING party_run_id
    )
    INSERT INTO events (run_id, party_run_id, side, from_value, to_value, reason)
    SELECT :run_id, party_run_id, 'state', :lost, :state, :reason FROM moved
    """
)

_RUNS_WITHOUT = text(
    """
    SELECT DISTINCT run_id FROM party_runs
    WHERE federated_id = :federated_id AND state = :lost AND finished_at IS NULL ORDER BY run_id
    """
)

_GIVEN_UP = text(
    f"""
    SELECT {MEMBER} FROM party_runs WHERE run_id = :run_id AND reason = :reason ORDER BY rank
    """  # noqa: S608 - the same
)


async def lost_parties(connection: Connection, run_id: str | None) -> list[str]:
    """Return the parties of a run that are lost, by rank; a coordinator is called so."""
    values = {"run_id": run_id, "lost": PartyRunState.LOST}
    return list((await connection.execute(_LOST_PARTIES, values)).scalars())


async def runs_that_lost(connection: Connection, federated_id: str) -> list[str]:
    """Return the runs of which this party's share is lost."""
    values = {"federated_id": federated_id, "lost": PartyRunState.LOST}
    return list((await connection.execute(_RUNS_WITHOUT, values)).scalars())


async def give_up(connection: Connection, run_id: str, *, federated_id: str | None = None) -> int:
    """End a locked run's lost party runs as failed; return how many there were.

    Those of one party, or of all where none is named.
    A site that comes back ends what it finds: its agent is told what is wanted, and this isn't.
    """
    values = {
        "run_id": run_id,
        "federated_id": federated_id,
        "lost": PartyRunState.LOST,
        "state": next_state(PartyRunState.LOST, PartyRunEvent.FAIL),
        "reason": Reason.GIVEN_UP,
        "message": sentence(Reason.GIVEN_UP),
    }
    return (await connection.execute(_GIVE_UP, values)).rowcount


async def given_up(connection: Connection, run_id: str) -> list[str]:
    """Return the parties of a run that were given up, by rank; a coordinator is called so."""
    values = {"run_id": run_id, "reason": Reason.GIVEN_UP}
    return list((await connection.execute(_GIVEN_UP, values)).scalars())
