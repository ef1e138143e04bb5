"""The real services of a server on one database, for tests that call them step by step."""

import asyncio
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path

from flow_contract.coordination import Ends, PortRange
from flow_contract.tasks import StartParameters
from flow_contract.templates import Coordinator, TemplateSpec
from flow_server.hub.registry import Registry
from flow_server.services.absences import AbsenceService
from flow_server.services.delivery import DeliveryService
from flow_server.services.parties import PartyService
from flow_server.services.reports import ReportService
from flow_server.services.retention import RetentionService
from flow_server.services.starts import StartService
from flow_server.services.templates import TemplateService
from flow_server.services.vigil import Vigil
from flow_server.storage.address import parse
from flow_server.storage.blobs import open_blobs
from flow_server.storage.database import Database
from flow_server.storage.engine import make_engine
from tests.chaos.callers import LOCAL
from tests.chaos.model import COORDINATED


class Served:
    """The real services on one database, and one event loop to run them in."""

    def __init__(self, url):
        self.runner = asyncio.Runner()
        self.engine = make_engine(parse(url))
        self.database = Database(self.engine)
        self.registry = Registry()
        self.parties = PartyService(
            self.database, owner_id="replica", lease=timedelta(seconds=3600)
        )
        vigil = Vigil(longest_gap_s=3600, clock_s=lambda: 0.0)
        vigil.keep()
        self.absences = AbsenceService(
            self.database, vigil=vigil, orphan_grace_s=0, return_grace_s=0
        )
        self.starts = StartService(self.database)
        self.blobs = tempfile.TemporaryDirectory()
        self.retention = RetentionService(
            self.database,
            open_blobs(None, Path(self.blobs.name)),
            age=timedelta(0),
            runs_per_task=1,
        )
        self.reports = ReportService(self.database)
        self.delivery = DeliveryService(self.database, self.registry)
        self.worker = self.do(self._begin())
        self._templates = {}

    def do(self, work):
        return self.runner.run(work)

    def template(self, kind, place):
        """Return a template whose members depend on one another so; "" is no place of its own."""
        if (kind, place) not in self._templates:
            ends = Ends.AFTER_PARTIES if kind == "after_parties" else Ends.BY_ITSELF
            coordinator = Coordinator(ports=(1,), party=place, ends=ends, decides=kind == "decides")
            spec = TemplateSpec(
                name=f"model {uuid.uuid4().hex[:8]}",
                image_url="image:1",
                coordinator=coordinator if kind in COORDINATED else None,
                mesh=(PortRange(first=1, last=1),) if kind == "mesh" else (),
            )
            self._templates[kind, place] = self.do(
                TemplateService(self.database).create(spec, caller=LOCAL)
            )
        return self._templates[kind, place]

    def start(self, task_id, *, request_id):
        return self.starts.start(task_id, StartParameters(), request_id=request_id, caller=LOCAL)

    def stop(self, task_id, *, request_id):
        """Each stop is a request of its own: a repeated one is answered and not obeyed."""
        self.do(self.starts.stop(task_id, request_id=request_id, caller=LOCAL))

    async def _begin(self):
        return asyncio.gather(self.reports.run(), self.starts.run())

    async def _end(self):
        self.worker.cancel()
        await asyncio.gather(self.worker, return_exceptions=True)

    async def sql(self, statement, *values):
        async with self.engine.begin() as connection:
            found = await connection.exec_driver_sql(statement, values)
            return found.mappings().all() if found.returns_rows else []

    def close(self):
        self.do(self._end())
        self.do(self.engine.dispose())
        self.runner.close()
        self.blobs.cleanup()
