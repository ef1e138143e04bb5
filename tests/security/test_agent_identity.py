"""What an agent refuses, and what ends one: over real connections, against a real server."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from party_agent.app import Agent
from party_agent.audit import FILE_NAME, read
from party_agent.identity import files
from party_agent.identity.doors import explain
from party_agent.identity.enrolment import enrol
from party_agent.runtime.memory import MemoryRuntime
from party_agent.settings import AgentSettings
from tests.agent.fake_server import FakeServer
from tests.agent.fakes import until
from tests.agent.identity.made import Ca

PARTY = "hospital-a"


def now():
    return datetime.now(UTC)


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def enrol_here(server, token, folder):
    return enrol(server, token, pending=folder, now=now, pause=lambda _: None)


async def asked(server, token, folder):
    return await asyncio.to_thread(enrol_here, server, token, folder)


@pytest.fixture
def ca():
    return Ca()


# A whole agent against the real server.


async def enrolled(flow, state_dir):
    token = await flow.add(PARTY)
    answered = await asked(flow.server.grpc_address, token, state_dir / files.FOLDER)
    files.write(state_dir, answered.identity)
    files.drop_pending(state_dir / files.FOLDER, token.token_id)
    return answered.identity


class Running:
    def __init__(self, agent):
        self.agent = agent
        self.task = asyncio.create_task(agent.run())

    async def end(self):
        await self.agent.aclose()
        await self.task


@pytest.fixture
async def start_agent():
    running = []

    def start(state_dir, target, party=PARTY):
        settings = AgentSettings(
            server=target,
            party=party,
            runtime="memory",
            state_dir=state_dir,
            first_backoff_s=0.01,
            max_backoff_s=0.1,
        )
        running.append(Running(Agent(settings, MemoryRuntime())))
        return running[-1].agent

    yield start
    for each in running:
        await each.end()


def refusals(state_dir):
    path = state_dir / FILE_NAME
    return [entry.act for entry in read(path)] if path.exists() else []


async def test_an_enrolled_agent_connects_and_a_revoked_one_says_what_to_do(
    flow, tmp_path, start_agent
):
    identity = await enrolled(flow, tmp_path)
    agent = start_agent(tmp_path, identity.agents_address)
    await agent.connected.wait()
    await flow.revoke(PARTY)
    await until(lambda: refusals(tmp_path))
    [act, *_] = refusals(tmp_path)
    assert (act.action, act.outcome, act.subject_id) == ("agent.connect", "denied", PARTY)
    assert "fedflow party add" in act.detail["answer"]
    await until(lambda: not agent.connected.is_set())
    # With a new token it is let in again, without a restart.
    files.write(tmp_path, (await enrolled(flow, tmp_path)))
    await agent.connected.wait()
    await until(lambda: refusals(tmp_path)[-1].outcome == "done")


async def test_an_agent_speaks_for_its_certificate_s_party_only(flow, tmp_path, start_agent):
    identity = await enrolled(flow, tmp_path)
    start_agent(tmp_path, identity.agents_address, party="hospital-b")
    await until(lambda: refusals(tmp_path))
    assert "is for party 'hospital-a'" in refusals(tmp_path)[0].detail["why"]


async def test_a_key_that_others_can_read_is_not_used_while_the_agent_runs_either(
    flow, tmp_path, start_agent
):
    identity = await enrolled(flow, tmp_path)
    (tmp_path / "identity/current/key.pem").chmod(0o644)
    agent = start_agent(tmp_path, identity.agents_address)
    await until(lambda: refusals(tmp_path))
    assert "can be read by others" in refusals(tmp_path)[0].detail["why"]
    (tmp_path / "identity/current/key.pem").chmod(0o600)
    await agent.connected.wait()


async def fake_server(pair=None, client_ca=None):
    server = FakeServer()
    if pair is None:
        return await server.start()
    credentials = grpc.ssl_server_credentials(
        [(pair.key_pem, pair.certificate_pem)],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )
    return await server.start(credentials=credentials)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (lambda _: Ca().server(), "not by the CA that came with the enrolment token"),
        (lambda _: None, "speak"),
        (lambda ca: ca.server("flow.example.org"), "is not for 127.0.0.1"),
        (lambda ca: ca.server(at=ca.now() - timedelta(days=500)), "has expired"),
    ],
)
async def test_who_stands_in_for_the_server_hears_no_word_of_the_agent(
    ca, tmp_path, start_agent, pair, words
):
    files.write(tmp_path, ca.identity())
    server = await fake_server(pair(ca))
    start_agent(tmp_path, server.address)
    await until(lambda: refusals(tmp_path))
    assert words in refusals(tmp_path)[0].detail["why"]
    assert server.hellos == []
    await server.stop()


async def test_a_certificate_of_another_ca_or_too_old_is_said_to_be_refused(ca, tmp_path):
    server = await fake_server(ca.server(), client_ca=ca.pem)
    other = Ca()
    stranger = replace(other.identity(), ca_pem=ca.pem)
    assert "refused this site's certificate" in await explain(stranger, server.address, now=now())
    old = ca.identity(at=now() - timedelta(days=100), days=90)
    assert "expired at" in await explain(old, server.address, now=now())
    assert await explain(ca.identity(), server.address, now=now()) == ""
    await server.stop()


async def test_a_certificate_is_renewed_with_a_new_key_while_the_agent_is_connected(
    flow, tmp_path, start_agent, rows
):
    identity = await enrolled(flow, tmp_path)
    # As if it had been received long ago: two thirds of its life are over.
    files.write(tmp_path, replace(identity, received_at=now() - timedelta(days=1000)))
    agent = start_agent(tmp_path, identity.agents_address)
    await until(lambda: files.read(tmp_path).key_pem != identity.key_pem)
    renewed = files.read(tmp_path)
    assert renewed.party == PARTY
    # It is the new one that it shows, over a new connection: the old one may go.
    await until_async(lambda: _has_come(rows, times=2))
    await rows.execute(
        "UPDATE certificates SET revoked_at = now() WHERE serial = $1", identity.facts.serial
    )
    await rows.execute("SELECT pg_notify('fedflow_identity', 'party:hospital-a')")
    await agent.connected.wait()
    assert refusals(tmp_path) == []
    assert renewed.facts.serial != identity.facts.serial
    assert len(list((tmp_path / "identity").iterdir())) == 2


async def _has_come(rows, *, times):
    return await rows.fetchval("SELECT epoch FROM parties") == times


async def until_async(condition):
    async with asyncio.timeout(30):
        # Nothing tells of a row but looking.
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
