"""A flow server behind TLS on a real PostgreSQL, and what a site or a user would do with it."""

import asyncio
import contextlib
import io

import asyncpg
import grpc
import pytest
import structlog

from flow_contract.access import Role
from flow_contract.secrets import read_enrolment
from flow_server.app import FlowServer
from flow_server.settings import ServerSettings
from flow_server_sdk import AsyncFlowServerSdk
from flow_wire import enrolment_pb2, enrolment_pb2_grpc, parties_pb2, parties_pb2_grpc
from tests.certificates import Proof, key_pem, make_key, make_pki, request_pem
from tests.security.people import People
from tests.security.secure_server import secure_server
from tests.server.agent_client import ScriptedAgent

ANSWER_S = 30


class Secured:
    """One server and its pki directory, as an operator and his sites see them."""

    def __init__(self, server, pki):
        self.server = server
        self.pki = pki
        self.ca_pem = pki.ca_certificate.read_bytes()
        self._channels = []
        self._agents = []

    @property
    def admin(self):
        """What the first administrator's calls carry."""
        token = self.pki.admin_token.read_text().strip()
        return (("authorization", f"Bearer {token}"),)

    def dial(self, address, credentials, **options):
        channel = grpc.aio.secure_channel(address, credentials, options=list(options.items()))
        self._channels.append(channel)
        return channel

    def users(self, credentials=None):
        """A channel to the users' port."""
        known = credentials or grpc.ssl_channel_credentials(self.ca_pem)
        return self.dial(self.server.grpc_address, known)

    async def add(self, party, **request):
        """Ask for a token; return it taken apart."""
        stub = parties_pb2_grpc.PartyServiceStub(self.users())
        answer = await stub.Add(
            parties_pb2.AddPartyRequest(federated_id=party, **request),
            metadata=self.admin,
            timeout=ANSWER_S,
        )
        return read_enrolment(answer.enrolment_token)

    async def revoke(self, party):
        stub = parties_pb2_grpc.PartyServiceStub(self.users())
        await stub.Revoke(
            parties_pb2.RevokePartyRequest(federated_id=party),
            metadata=self.admin,
            timeout=ANSWER_S,
        )

    async def enrol(self, token, request, *, secret=None):
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(self.users())
        return await stub.Enrol(
            enrolment_pb2.EnrolRequest(
                token_id=token.token_id,
                secret=token.secret if secret is None else secret,
                certificate_request_pem=request,
            ),
            timeout=ANSWER_S,
        )

    async def proof_for(self, party):
        """Add and enrol a party; return what its agent then has."""
        key = make_key()
        answer = await self.enrol(await self.add(party), request_pem(key))
        return Proof(key_pem(key), answer.certificate_chain_pem, answer.ca_pem)

    def agent(self, party, proof, address=None):
        agent = ScriptedAgent(
            address or self.server.agents_address, party, credentials=proof.credentials
        )
        self._agents.append(agent)
        return agent

    async def aclose(self):
        for agent in self._agents:
            await agent.cut()
        for channel in self._channels:
            await channel.close()


@pytest.fixture
def pki(tmp_path):
    return make_pki(tmp_path / "state")


@pytest.fixture
async def start_server(database_url):
    """Start a replica with these settings; all end with the test."""
    servers = []

    async def start(**settings):
        server = FlowServer(
            ServerSettings(
                port=0,
                agents_port=0,
                http_port=0,
                database_url=database_url,
                shutdown_grace_s=0,
                **settings,
            )
        )
        servers.append(server)
        await server.start()
        return server

    yield start
    await asyncio.gather(*(server.aclose() for server in servers))


@pytest.fixture
async def secure(start_server, pki):
    """Start a replica on a pki directory; see `Secured`."""
    made = []

    async def start(directory=pki, **settings):
        server = await start_server(pki_dir=directory.path, **settings)
        made.append(Secured(server, directory))
        return made[-1]

    yield start
    for each in made:
        await each.aclose()


@pytest.fixture
async def flow(secure):
    return await secure()


@pytest.fixture
async def rows(database_url):
    """A connection to the server's database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def log():
    """Everything that the server logs, as it would write it."""
    written = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    yield written
    structlog.configure(**before)


@pytest.fixture
def oidc():
    """Settings of a trusted issuer; none unless a test module says otherwise."""
    return {}


@pytest.fixture
async def server(database_url, tmp_path, log, oidc):
    async with secure_server(database_url, tmp_path, **oidc) as server:
        yield server


@pytest.fixture
async def people(server):
    """The first admin, and whoever it adds."""
    async with People(server) as people:
        yield people


@pytest.fixture
async def channel(server):
    credentials = grpc.ssl_channel_credentials(server.ca.read_bytes())
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        yield channel


@pytest.fixture
async def sdk_of(server):
    """Return a client that shows this token."""
    async with contextlib.AsyncExitStack() as stack:
        host, port = server.address.rsplit(":", 1)

        async def make(token):
            return await stack.enter_async_context(
                AsyncFlowServerSdk(host, port, token=token, ca=server.ca)
            )

        yield make


@pytest.fixture
async def ana(people, sdk_of):
    return await sdk_of(await people.add("anette", Role.RESEARCHER))
