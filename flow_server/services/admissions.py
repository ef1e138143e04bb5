"""Who may stay connected: sessions end when their certificate is refused or has run out."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from flow_contract.errors import Forbidden, Kind
from flow_server.hub.registry import Registry
from flow_server.storage import certificates
from flow_server.storage.database import Connection, Database

_PARTY = "party:"


def not_admitted(federated_id: str) -> Forbidden:
    """Return the error for a party whose certificate is not good (any more)."""
    return Forbidden(
        f"the certificate of party {federated_id!r} was revoked, has expired, or is not known to "
        "this server; ask the server's operator to add the party again ('fedflow party add'), "
        "and enrol with the new token",
        kind=Kind.PARTY,
        subject_id=federated_id,
    )


async def admit(connection: Connection, *, federated_id: str, serial: str) -> None:
    """Let a party connect that showed this certificate; it can't be refused meanwhile.

    Raises:
        Forbidden: it is not good.
    """
    found = await certificates.good_one(
        connection, federated_id=federated_id, serial=serial, hold=True
    )
    if found is None:
        raise not_admitted(federated_id)


class AdmissionService:
    """Looks after the certificates of the sessions of this replica."""

    def __init__(
        self, database: Database, registry: Registry, *, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._registry = registry
        self._now = now
        self._parties: set[str] = set()
        self._all = False
        self._woken = asyncio.Event()

    def wake(self, payload: str) -> None:
        """Look at a party's certificate soon if this news of an identity is a party's."""
        if payload.startswith(_PARTY):
            self._parties.add(payload.removeprefix(_PARTY))
            self._woken.set()

    def wake_all(self) -> None:
        """Look at all soon: news may have been missed."""
        self._all = True
        self._woken.set()

    async def run(self) -> None:
        """End sessions whose certificates are refused, as soon as that is known.

        Raises:
            Unavailable: the database can't answer; the next `run` looks again.
        """
        while True:
            await self._woken.wait()
            self._woken.clear()
            parties, self._parties = self._parties, set()
            everybody, self._all = self._all, False
            try:
                await self._look(None if everybody else parties)
            except BaseException:
                self._parties |= parties
                self._all |= everybody
                self._woken.set()
                raise

    async def _look(self, parties: set[str] | None) -> None:
        sessions = [
            session
            for session in self._registry
            if session.certificate is not None
            and (parties is None or session.federated_id in parties)
        ]
        serials = {
            session.certificate.serial for session in sessions if session.certificate is not None
        }
        if not serials:
            return
        async with self._database.transaction() as connection:
            good = await certificates.good_serials(connection, sorted(serials))
        for session in sessions:
            if session.certificate is not None and session.certificate.serial not in good:
                session.end(not_admitted(session.federated_id))

    def end_expired(self) -> None:
        """End sessions whose certificate has run out by now."""
        now = self._now()
        for session in self._registry:
            if session.certificate is not None and session.certificate.not_after <= now:
                session.end(not_admitted(session.federated_id))
