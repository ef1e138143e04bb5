"""Who shows which certificate at which port, and what must happen then."""

import asyncio
import ssl
from datetime import timedelta

import grpc
import pytest

from flow_server.services.enrolments import MAX_GOOD_CERTIFICATES
from flow_wire import agents_pb2, agents_pb2_grpc, templates_pb2, templates_pb2_grpc
from party_agent.tunnel.trust import authorities_of
from tests.certificates import (
    LONG_AGO,
    authority_of,
    key_pem,
    make_key,
    make_pki,
    now,
    request_pem,
    server_proof,
    sign_by_hand,
    sign_with,
)
from tests.security.conftest import ANSWER_S

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
FORBIDDEN = grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


async def refused(call):
    """Make a call that must be refused; return its status and text."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def refused_hello(flow, proof, party="hospital-a"):
    """Say hello in a way that must be refused; return status and text."""
    agent = flow.agent(party, proof)
    try:
        with pytest.raises((AssertionError, grpc.aio.AioRpcError)):
            await asyncio.wait_for(agent.connect(), ANSWER_S)
        return await agent._call.code(), await agent._call.details()
    finally:
        await agent._channel.close()


def list_templates(channel, **options):
    stub = templates_pb2_grpc.TemplateServiceStub(channel)
    return stub.List(templates_pb2.ListTemplatesRequest(), timeout=ANSWER_S, **options)


def renew(channel, key=None, **options):
    stub = agents_pb2_grpc.AgentServiceStub(channel)
    request = agents_pb2.RenewRequest(certificate_request_pem=request_pem(key or make_key()))
    return stub.Renew(request, timeout=ANSWER_S, **options)


async def test_a_party_that_enrolled_is_served_and_is_whom_its_certificate_names(flow):
    proof = await flow.proof_for("hospital-a")
    agent = flow.agent("hospital-a", proof)
    await agent.connect()
    assert agent.epoch == 1


async def test_no_certificate_at_the_agents_port_ends_at_the_handshake(flow):
    nameless = grpc.ssl_channel_credentials(flow.ca_pem)
    channel = flow.dial(flow.server.agents_address, nameless)
    assert (await refused(renew(channel)))[0] is UNAVAILABLE


async def test_a_certificate_of_another_ca_ends_at_the_handshake(flow, tmp_path):
    elsewhere = make_pki(tmp_path / "elsewhere")
    theirs, _ = sign_by_hand(elsewhere, "hospital-a")
    ours = grpc.ssl_channel_credentials(flow.ca_pem, theirs.key_pem, theirs.certificate_pem)
    channel = flow.dial(flow.server.agents_address, ours)
    assert (await refused(renew(channel)))[0] is UNAVAILABLE


@pytest.mark.parametrize("at", [-LONG_AGO, timedelta(days=2)], ids=["expired", "not yet valid"])
async def test_a_certificate_out_of_its_time_ends_at_the_handshake(flow, at):
    proof, _ = sign_by_hand(flow.pki, "hospital-a", at=now() + at)
    assert (await refused_hello(flow, proof))[0] is UNAVAILABLE


async def test_revoking_ends_the_live_connection_at_once_and_refuses_the_next(flow):
    proof = await flow.proof_for("hospital-a")
    agent = flow.agent("hospital-a", proof)
    await agent.connect()
    await flow.revoke("hospital-a")
    assert await asyncio.wait_for(agent.ended(), ANSWER_S) is FORBIDDEN
    assert "revoked" in await agent._call.details()
    code, text = await refused_hello(flow, proof)
    assert (code, "fedflow party add" in text) == (FORBIDDEN, True)
    channel = flow.dial(flow.server.agents_address, proof.credentials)
    assert (await refused(renew(channel)))[0] is FORBIDDEN


async def test_revoking_at_one_replica_ends_the_connection_at_another(secure):
    one, other = await secure(), await secure()
    proof = await one.proof_for("hospital-a")
    agent = other.agent("hospital-a", proof)
    await agent.connect()
    await one.revoke("hospital-a")
    assert await asyncio.wait_for(agent.ended(), ANSWER_S) is FORBIDDEN


async def test_revoking_one_party_leaves_the_others_connected(flow):
    agents = []
    for party in ("hospital-a", "hospital-b"):
        agents.append(flow.agent(party, await flow.proof_for(party)))
        await agents[-1].connect()
    await flow.revoke("hospital-a")
    await asyncio.wait_for(agents[0].ended(), ANSWER_S)
    assert not agents[1]._reader.done()


async def test_a_revoked_party_that_is_added_again_is_served_and_its_old_key_is_not(flow):
    old = await flow.proof_for("hospital-a")
    await flow.revoke("hospital-a")
    await flow.revoke("hospital-a")
    new = await flow.proof_for("hospital-a")
    await flow.agent("hospital-a", new).connect()
    assert (await refused_hello(flow, old))[0] is FORBIDDEN


async def test_a_party_that_nobody_knows_can_not_be_revoked(flow):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await flow.revoke("nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_hello_with_another_party_s_id_is_refused_and_told_only_the_own_one(flow):
    await flow.proof_for("hospital-b")
    proof = await flow.proof_for("hospital-a")
    code, text = await refused_hello(flow, proof, party="hospital-b")
    assert code is FORBIDDEN
    assert "hospital-a" in text
    assert "hospital-b" not in text


async def test_a_certificate_that_we_signed_and_do_not_know_is_refused(flow):
    proof, _ = sign_by_hand(flow.pki, "hospital-a")
    assert (await refused_hello(flow, proof))[0] is FORBIDDEN
    channel = flow.dial(flow.server.agents_address, proof.credentials)
    assert (await refused(renew(channel)))[0] is FORBIDDEN


async def test_the_server_s_own_certificate_is_nobody_s_at_the_agents_port(flow):
    code, _ = await refused_hello(flow, server_proof(flow.pki))
    assert code in {UNAVAILABLE, UNAUTHENTICATED}


async def test_a_session_ends_when_its_certificate_has_run_out(secure, rows):
    flow = await secure(lost_after_s=2)
    proof, signed = sign_by_hand(flow.pki, "hospital-a", days=6 / 86_400)
    await rows.execute(
        "INSERT INTO certificates (serial, federated_id, key_hash, certificate_pem, not_before,"
        " not_after) VALUES ($1, $2, $3, $4, $5, $6)",
        signed.serial,
        signed.federated_id,
        signed.key_hash,
        signed.certificate_pem.decode(),
        signed.not_before,
        signed.not_after,
    )
    agent = flow.agent("hospital-a", proof)
    await agent.connect()
    assert await asyncio.wait_for(agent.ended(), ANSWER_S) is FORBIDDEN
    assert now() >= signed.not_after


async def test_a_renewed_certificate_serves_beside_the_one_that_it_follows(flow):
    proof = await flow.proof_for("hospital-a")
    channel = flow.dial(flow.server.agents_address, proof.credentials)
    key = make_key()
    answer = await renew(channel, key)
    # The answer was lost, as it were.
    assert (await renew(channel, key)).certificate_chain_pem == answer.certificate_chain_pem
    renewed = type(proof)(key_pem(key), answer.certificate_chain_pem, answer.ca_pem)
    for each in (renewed, proof):
        agent = flow.agent("hospital-a", each)
        await agent.connect()
        await agent.cut()


async def test_an_agent_that_asks_for_certificates_in_a_loop_is_stopped(flow):
    proof = await flow.proof_for("hospital-a")
    channel = flow.dial(flow.server.agents_address, proof.credentials)
    # One it has.
    for _ in range(MAX_GOOD_CERTIFICATES - 1):
        await renew(channel)
    assert (await refused(renew(channel)))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("port", ["grpc_address", "agents_address"])
async def test_plain_text_at_a_port_of_tls_ends_the_connection(flow, port):
    async with grpc.aio.insecure_channel(getattr(flow.server, port)) as channel:
        assert (await refused(list_templates(channel)))[0] is UNAVAILABLE


async def test_a_user_s_token_at_the_agents_port_opens_nothing(flow):
    nameless = flow.dial(flow.server.agents_address, grpc.ssl_channel_credentials(flow.ca_pem))
    assert (await refused(list_templates(nameless, metadata=flow.admin)))[0] is UNAVAILABLE


async def test_users_calls_at_the_agents_port_are_refused_whatever_they_carry(flow):
    proof = await flow.proof_for("hospital-a")
    channel = flow.dial(flow.server.agents_address, proof.credentials)
    assert (await refused(list_templates(channel, metadata=flow.admin)))[0] is FORBIDDEN


async def test_a_certificate_at_the_users_port_proves_nothing(flow):
    proof = await flow.proof_for("hospital-a")
    channel = flow.users(proof.credentials)
    assert (await refused(renew(channel)))[0] is UNAUTHENTICATED
    assert (await refused(renew(channel, metadata=flow.admin)))[0] in {UNAUTHENTICATED, FORBIDDEN}


async def test_a_server_that_is_dialled_by_a_name_it_has_not_is_not_trusted(flow):
    known = grpc.ssl_channel_credentials(flow.ca_pem)
    channel = flow.dial(
        flow.server.grpc_address, known, **{"grpc.ssl_target_name_override": "other.example"}
    )
    assert (await refused(list_templates(channel, metadata=flow.admin)))[0] is UNAVAILABLE


async def test_an_expired_server_certificate_is_renewed_by_its_files_without_a_restart(
    secure, tmp_path
):
    pki = make_pki(tmp_path / "old", at=now() - LONG_AGO)
    flow = await secure(pki)
    assert (await refused(list_templates(flow.users(), metadata=flow.admin)))[0] is UNAVAILABLE
    fresh = authority_of(pki).sign_server(["127.0.0.1"], now=now())
    pki.server_key.write_bytes(fresh.key_pem)
    # Not a pair at this moment: what was there before is kept, and nothing breaks.
    assert (await refused(list_templates(flow.users(), metadata=flow.admin)))[0] is UNAVAILABLE
    pki.server_certificate.write_bytes(fresh.certificate_pem)
    for channel in (flow.users(), flow.users()):
        await list_templates(channel, metadata=flow.admin)
    # And at the other port.
    agent = flow.agent("hospital-a", await flow.proof_for("hospital-a"))
    await agent.connect()


async def test_an_operator_s_own_certificate_is_shown_and_told_to_who_enrols(secure, tmp_path):
    theirs = make_pki(tmp_path / "corporate")
    flow = await secure(
        tls_cert=theirs.server_certificate,
        tls_key=theirs.server_key,
        tls_ca=theirs.ca_certificate,
    )
    flow.ca_pem = theirs.ca_certificate.read_bytes()
    token = await flow.add("hospital-a")
    assert token.ca_der == ssl.PEM_cert_to_DER_cert(flow.ca_pem.decode())
    proof = await flow.proof_for("hospital-a")
    assert proof.ca_pem == flow.ca_pem
    # By whom parties know each other, it is told too.
    assert authorities_of(proof.certificate_pem, proof.ca_pem)
    await flow.agent("hospital-a", proof).connect()


async def test_a_party_s_key_signs_no_other_party(flow):
    proof = await flow.proof_for("hospital-a")
    key = make_key()
    forged = sign_with(proof, key, "hospital-b")
    chain = type(proof)(key_pem(key), forged + proof.certificate_pem, proof.ca_pem)
    assert (await refused_hello(flow, chain, party="hospital-b"))[0] is UNAVAILABLE


async def test_what_a_revoked_agent_still_has_on_its_way_counts_for_nothing(flow, rows):
    agent = flow.agent("hospital-a", await flow.proof_for("hospital-a"))
    await agent.connect()
    await flow.revoke("hospital-a")
    epoch, owner = await rows.fetchrow("SELECT epoch, owner_id FROM parties")
    assert epoch > agent.epoch
    assert owner is None
