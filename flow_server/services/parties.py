"""Use cases of parties: reading them, and owning their connections."""

from collections.abc import Sequence
from datetime import timedelta

from flow_contract import checks
from flow_contract.errors import InvalidArgument
from flow_contract.ids import is_party_id
from flow_contract.parties import Inventory, Party
from flow_server.services.admissions import admit
from flow_server.storage import parties, reports, runs
from flow_server.storage.database import Connection, Database

# Of one site; infinity is a number too, and can't be stored.
MAX_CPUS = 1e9
# A host name of the longest kind, and a port.
MAX_ADDRESS = 260


class PartyService:
    """Keeps parties. `owner_id` is this replica's; its leases last `lease`."""

    def __init__(self, database: Database, *, owner_id: str, lease: timedelta) -> None:
        self._database = database
        self._owner_id = owner_id
        self._lease = lease
        self._is_leaving = False

    async def get(self, federated_id: str) -> Party:
        """Return a party. Raises NotFound."""
        checks.text("federated_id", federated_id)
        async with self._database.transaction() as connection:
            return await parties.get_party(connection, federated_id)

    async def list(self, *, page: int, limit: int) -> tuple[list[Party], int]:
        """Return one page, by id, and the number of all."""
        checks.page(page, limit)
        async with self._database.transaction() as connection:
            return await parties.list_parties(connection, offset=(page - 1) * limit, limit=limit)

    async def drain(self, federated_id: str) -> None:
        """Let the party take no new work; what runs there goes on. Raises NotFound."""
        await self._set_draining(federated_id, draining=True)

    async def resume(self, federated_id: str) -> None:
        """Let the party take new work again. Raises NotFound."""
        await self._set_draining(federated_id, draining=False)

    async def agent_drains(self, *, federated_id: str, epoch: int) -> None:
        """Take the agent's own word that it takes no new work."""
        async with self._database.transaction() as connection:
            await parties.set_agent_draining(connection, federated_id=federated_id, epoch=epoch)

    async def _set_draining(self, federated_id: str, *, draining: bool) -> None:
        checks.text("federated_id", federated_id)
        async with self._database.transaction() as connection:
            await parties.set_draining(connection, federated_id, draining=draining)

    async def connect(
        self,
        *,
        federated_id: str,
        name: str,
        instance_id: str,
        inventory: Inventory,
        draining: bool = False,
        serial: str | None = None,
    ) -> int:
        """Own the party's connection; return its epoch.

        `serial` is of the certificate that the party showed, None where nobody shows any.

        Raises:
            Forbidden: that certificate is not good (any more).
            InvalidArgument: the id can't name a party, or something is too long.
            AlreadyExists: another agent of this party is connected.
        """
        if not is_party_id(federated_id):
            raise InvalidArgument(
                f"federated_id: {federated_id[:80]!r} is not a party id "
                "(1 to 63 letters, digits, '_', '.' or '-')",
                field="federated_id",
            )
        checks.text("name", name, max_chars=255)
        checks.text("instance_id", instance_id, max_chars=64)
        checks.number("inventory.cpus", inventory.cpus, least=0, most=MAX_CPUS)
        checks.number("inventory.memory_bytes", inventory.memory_bytes, least=0)
        checks.texts("inventory.gpu_ids", inventory.gpu_ids, max_bytes=65_536)
        checks.texts("inventory.data_names", inventory.data_names, max_bytes=65_536)
        checks.text("inventory.runtime", inventory.runtime, max_chars=64)
        checks.text("inventory.agent_version", inventory.agent_version, max_chars=64)
        checks.text("inventory.direct_address", inventory.direct_address, max_chars=MAX_ADDRESS)
        async with self._database.transaction() as connection:
            if serial is not None:
                await admit(connection, federated_id=federated_id, serial=serial)
            await _hear_from_one(connection, federated_id, instance_id)
            return await parties.claim_party(
                connection,
                federated_id=federated_id,
                name=name or federated_id,
                instance_id=instance_id,
                inventory=inventory,
                draining=draining,
                owner_id=self._owner_id,
                lease=self._lease,
            )

    def leave(self) -> None:
        """Say that this replica is about to end, which is no absence of its parties."""
        self._is_leaving = True

    async def disconnect(self, *, federated_id: str, epoch: int) -> None:
        """Say that the connection has ended; a newer one is left alone.

        Where it is this replica that ends, the party is left as a kill would leave it: its
        agent has the time to find another server that such parties get.
        """
        if self._is_leaving:
            return
        async with self._database.transaction() as connection:
            await parties.release_party(
                connection,
                federated_id=federated_id,
                epoch=epoch,
                owner_id=self._owner_id,
                lease=self._lease,
            )

    async def renew_leases(self, held: Sequence[tuple[str, int]]) -> dict[str, int]:
        """Renew the leases of the (federated_id, epoch) connections that this replica holds.

        Return the epochs, by party, of those that it still holds.
        """
        async with self._database.transaction() as connection:
            return await parties.renew_leases(
                connection, held, owner_id=self._owner_id, lease=self._lease
            )


async def _hear_from_one(connection: Connection, federated_id: str, instance_id: str) -> None:
    """Make room for an agent with a journal of its own, which numbers its reports from 1.

    Without this they would pass for repeats of the last agent's, and its run never end.
    """
    open_runs = await reports.runs_of_another_agent(
        connection, federated_id=federated_id, instance_id=instance_id
    )
    if open_runs:
        # Before the party's row: whoever holds both took the run first.
        await runs.lock_runs(connection, open_runs)
        await reports.count_anew(connection, federated_id, open_runs)
