"""A secured server on a real PostgreSQL, its parties, and what inputs must not change."""

import asyncio
import contextlib
import logging

import asyncpg
import grpc
import structlog

from flow_contract.secrets import read_enrolment
from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_wire import (
    agents_pb2,
    agents_pb2_grpc,
    enrolment_pb2,
    enrolment_pb2_grpc,
    parties_pb2,
    parties_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    templates_pb2,
    templates_pb2_grpc,
)
from tests.certificates import Proof, key_pem, make_key, make_pki, request_pem
from tests.security.fuzz.findings import ANSWER_S

SENDERS = tuple(f"sender-{number}" for number in range(4))
BYSTANDER = "bystander"
_HOUR_S = 3600
_LIMITS = {
    # So that a flow of frames that was cut ends soon.
    "connection_idle_s": 3,
    "request_timeout_s": 3,
    "calls_per_token_per_s": 0,
    "calls_per_address_per_s": 0,
    "calls_per_address_at_once": 0,
    "connects_per_party_per_min": 0,
    "wrong_enrolments_per_address_per_min": 0,
}


class Place:
    """`admin` is the metadata of calls that may do everything; `words` are the ids that exist."""

    def __init__(self, server, pki, rows):
        self.server = server
        self.rows = rows
        self.ca_pem = pki.ca_certificate.read_bytes()
        self.admin = (("authorization", f"Bearer {pki.admin_token.read_text().strip()}"),)
        credentials = grpc.ssl_channel_credentials(self.ca_pem)
        self.users = grpc.aio.secure_channel(server.grpc_address, credentials)
        self.agents = {}
        self.words = ()
        self._before = None

    async def furnish(self):
        for party in (*SENDERS, BYSTANDER):
            await self._enrol(party)
        template = templates_pb2.TemplateSpec(
            name="the template", image_url="image:1", start_deadline_s=_HOUR_S
        )
        template_id = (
            await templates_pb2_grpc.TemplateServiceStub(self.users).Create(
                templates_pb2.CreateTemplateRequest(spec=template), **self._as_admin()
            )
        ).template_id
        task_id, run_id = await self._start(template_id, "task of all", SENDERS)
        # An accepted stop may change the bystander's rows: its task's id is nobody's word.
        _, other_run_id = await self._start(template_id, "task of one", (BYSTANDER,))
        found = await self.rows.fetch("SELECT party_run_id FROM party_runs")
        party_run_ids = [row["party_run_id"] for row in found]
        known = (template_id, task_id, run_id, other_run_id, *party_run_ids)
        self.words = (*SENDERS, BYSTANDER, *known)
        self._before = await self._bystanders()

    async def check_bystander(self, findings):
        """Compare the rows of the party that nobody may speak for with what they were."""
        if self._before != await self._bystanders():
            findings.find("rows", 0, "another party's rows have changed")

    async def check_rows(self, findings, made):
        """Compare what is stored with what was accepted; `made` counts it by table."""
        for table, count in made.items():
            stored = await self.rows.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
            if stored != count:
                findings.find("rows", 0, f"{table}: {stored} stored, {count} accepted")

    async def alive(self):
        """Have an honest call answered."""
        await templates_pb2_grpc.TemplateServiceStub(self.users).List(
            templates_pb2.ListTemplatesRequest(), **self._as_admin()
        )

    async def aclose(self):
        for channel in (self.users, *self.agents.values()):
            await channel.close()

    def _as_admin(self):
        return {"metadata": self.admin, "timeout": ANSWER_S}

    async def _bystanders(self):
        return await self.rows.fetch(
            "SELECT * FROM party_runs WHERE federated_id = $1 ORDER BY 1", BYSTANDER
        )

    async def _start(self, template_id, name, parties):
        stub = tasks_pb2_grpc.TaskServiceStub(self.users)
        data = [tasks_pb2.PartyData(federated_id=party) for party in parties]
        spec = tasks_pb2.TaskSpec(name=name, template_id=template_id, federate_data=data)
        made = await stub.Create(tasks_pb2.CreateTaskRequest(spec=spec), **self._as_admin())
        request = tasks_pb2.StartTaskRequest(task_id=made.task_id)
        return made.task_id, (await stub.Start(request, **self._as_admin())).run_id

    async def _enrol(self, party):
        stub = parties_pb2_grpc.PartyServiceStub(self.users)
        request = parties_pb2.AddPartyRequest(federated_id=party)
        token = read_enrolment((await stub.Add(request, **self._as_admin())).enrolment_token)
        key = make_key()
        answer = await enrolment_pb2_grpc.EnrolmentServiceStub(self.users).Enrol(
            enrolment_pb2.EnrolRequest(
                token_id=token.token_id,
                secret=token.secret,
                certificate_request_pem=request_pem(key),
            ),
            timeout=ANSWER_S,
        )
        proof = Proof(key_pem(key), answer.certificate_chain_pem, answer.ca_pem)
        self.agents[party] = grpc.aio.secure_channel(self.server.agents_address, proof.credentials)
        # Only who was there once may be named in a start.
        call = agents_pb2_grpc.AgentServiceStub(self.agents[party]).Connect(timeout=ANSWER_S)
        hello = agents_pb2.Hello(federated_id=party, instance_id=f"of {party}")
        await call.write(agents_pb2.AgentMessage(hello=hello))
        await call.read()
        await call.done_writing()
        while await call.read() is not grpc.aio.EOF:
            pass


class _Kept(logging.Handler):
    """What the server's libraries report as errors."""

    def __init__(self, findings):
        super().__init__(logging.ERROR)
        self._findings = findings

    def emit(self, record):
        self._findings.find("log", 0, f"{record.name}: {record.getMessage()[:300]}")


@contextlib.asynccontextmanager
async def place(database_url, folder, findings):
    """Serve until the block ends; an error that a library logs is a finding."""
    pki = make_pki(folder / "state")
    server = FlowServer(
        ServerSettings(
            port=0, agents_port=0, http_port=0, database_url=database_url, pki_dir=pki.path,
            shutdown_grace_s=0, **_LIMITS,
        )
    )  # fmt: skip
    kept = _Kept(findings)
    loop = asyncio.get_running_loop()
    before = structlog.get_config()

    def keep_incidents(_logger, _method, event):
        if event["event"] == "incident_raised":
            findings.find("incident", 0, repr(event.get("exc_info")))
        raise structlog.DropEvent

    structlog.configure(processors=[keep_incidents], cache_logger_on_first_use=False)
    await server.start()
    rows = await asyncpg.connect(database_url)
    made = Place(server, pki, rows)
    logging.getLogger().addHandler(kept)
    loop.set_exception_handler(lambda _loop, context: findings.find("loop", 0, context["message"]))
    try:
        await made.furnish()
        yield made
    finally:
        loop.set_exception_handler(None)
        logging.getLogger().removeHandler(kept)
        await made.aclose()
        await rows.close()
        await server.aclose()
        structlog.configure(**before)
