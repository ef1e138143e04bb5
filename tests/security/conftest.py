"""A real flow server that asks who calls, over TLS, and users with their tokens."""

import contextlib
import io

import grpc
import pytest
import structlog

from flow_contract.access import Role
from flow_server_sdk import AsyncFlowServerSdk
from tests.security.people import People
from tests.security.secure_server import secure_server


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
