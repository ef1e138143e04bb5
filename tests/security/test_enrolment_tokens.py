"""One-time enrolment tokens: who gets a certificate for one, and who doesn't."""

import asyncio

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from flow_server.pki.identities import read_identity
from flow_server.pki.requests import MAX_REQUEST_BYTES
from flow_wire import agents_pb2, agents_pb2_grpc
from tests.certificates import make_key, request_pem
from tests.security.conftest import ANSWER_S

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_the_certificate_names_the_token_s_party_whatever_the_request_says(flow):
    token = await flow.add("hospital-a")
    answer = await flow.enrol(token, request_pem(make_key(), subject="hospital-b"))
    identity = read_identity(answer.certificate_chain_pem)
    assert (answer.federated_id, identity.federated_id) == ("hospital-a", "hospital-a")
    assert answer.ca_pem == flow.ca_pem
    port = flow.server.agents_address.rpartition(":")[2]
    assert answer.agents_address == f":{port}"


async def test_who_enrols_is_told_the_address_that_the_operator_gave(secure):
    flow = await secure(agents_address="agents.example:443")
    answer = await flow.enrol(await flow.add("hospital-a"), request_pem(make_key()))
    assert answer.agents_address == "agents.example:443"


async def test_a_used_token_is_refused_to_another_key_and_answered_again_to_the_same(flow):
    token, key = await flow.add("hospital-a"), make_key()
    first = await flow.enrol(token, request_pem(key))
    again = await flow.enrol(token, request_pem(key))
    assert again.certificate_chain_pem == first.certificate_chain_pem
    assert (await refused(flow.enrol(token, request_pem(make_key()))))[0] is UNAUTHENTICATED


async def test_every_reason_to_refuse_a_token_has_the_same_text(flow, rows):
    request = request_pem(make_key())
    good = await flow.add("hospital-a")
    texts = {await refused(flow.enrol(good, request, secret="A" * 43))}
    texts |= {await refused(flow.enrol(good, request, secret=""))}
    texts |= {await refused(flow.enrol(good, request, secret="A" * 1_000_000))}

    void = good
    good = await flow.add("hospital-a")
    texts |= {await refused(flow.enrol(void, request))}

    await rows.execute("UPDATE enrolments SET expires_at = now() - interval '1 second'")
    texts |= {await refused(flow.enrol(good, request))}

    used = await flow.add("hospital-b")
    await flow.enrol(used, request_pem(make_key()))
    texts |= {await refused(flow.enrol(used, request))}

    revoked = await flow.add("hospital-c")
    await flow.enrol(revoked, request)
    await flow.revoke("hospital-c")
    texts |= {await refused(flow.enrol(revoked, request))}

    for token_id in ("0" * 12, "", "x", "\x00", "' OR 1=1 --", "0" * 1000):
        unknown = type(good)(token_id=token_id, secret=good.secret, ca_der=b"")
        texts |= {await refused(flow.enrol(unknown, request))}
    [(code, text)] = texts
    assert code is UNAUTHENTICATED
    assert "fedflow party add" in text


async def test_an_unused_token_is_void_once_its_party_is_revoked(flow):
    token = await flow.add("hospital-a")
    await flow.revoke("hospital-a")
    assert (await refused(flow.enrol(token, request_pem(make_key()))))[0] is UNAUTHENTICATED


async def test_of_many_sites_with_one_token_one_gets_a_certificate(secure):
    flows = [await secure(), await secure()]
    token = await flows[0].add("hospital-a")
    answers = await asyncio.gather(
        *(flows[number % 2].enrol(token, request_pem(make_key())) for number in range(8)),
        return_exceptions=True,
    )
    refusals = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert len(answers) - len(refusals) == 1
    assert {each.code() for each in refusals} == {UNAUTHENTICATED}


async def test_of_many_tokens_made_at_once_one_can_be_used(secure):
    flows = [await secure(), await secure()]
    tokens = await asyncio.gather(*(flows[number % 2].add("hospital-a") for number in range(6)))
    answers = await asyncio.gather(
        *(flows[0].enrol(token, request_pem(make_key())) for token in tokens),
        return_exceptions=True,
    )
    refusals = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert len(refusals) == len(tokens) - 1


async def test_who_renews_while_he_is_revoked_ends_up_without_a_good_certificate(secure, rows):
    flow = await secure()
    proof = await flow.proof_for("hospital-a")
    stub = agents_pb2_grpc.AgentServiceStub(
        flow.dial(flow.server.agents_address, proof.credentials)
    )
    renewals = [
        stub.Renew(
            agents_pb2.RenewRequest(certificate_request_pem=request_pem(make_key())),
            timeout=ANSWER_S,
        )
        for _ in range(10)
    ]
    await asyncio.gather(flow.revoke("hospital-a"), *renewals, return_exceptions=True)
    good = "SELECT count(*) FROM certificates WHERE revoked_at IS NULL"
    assert await rows.fetchval(good) == 0


def ec_request(curve):
    return request_pem(ec.generate_private_key(curve))


def rsa_request(bits):
    return request_pem(rsa.generate_private_key(public_exponent=65_537, key_size=bits))


def resigned(pem):
    """Return the request with a byte of its signature changed."""
    lines = pem.decode().splitlines()
    middle = lines[-2]
    lines[-2] = ("B" if middle[0] != "B" else "C") + middle[1:]
    return "\n".join(lines).encode()


UNFIT = {
    "nothing": lambda: b"",
    "garbage": lambda: b"\x00\xff" * 500,
    "another PEM": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "an empty request": lambda: (
        b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"
    ),
    "RSA of 1024 bits": lambda: rsa_request(1024),
    "EC P-521": lambda: ec_request(ec.SECP521R1()),
    "EC secp256k1": lambda: ec_request(ec.SECP256K1()),
    "a huge one": lambda: request_pem(make_key()) + b"\n" * MAX_REQUEST_BYTES,
    "a signature by another key": lambda: resigned(request_pem(make_key())),
}


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT)
async def test_a_request_that_is_not_fit_is_named_and_does_not_use_the_token_up(flow, make):
    token = await flow.add("hospital-a")
    code, text = await refused(flow.enrol(token, make()))
    assert code is INVALID
    assert text.startswith("certificate_request_pem: ")
    await flow.enrol(token, request_pem(make_key()))


FIT = {
    "EC P-384": lambda: ec_request(ec.SECP384R1()),
    "RSA of 2048 bits": lambda: rsa_request(2048),
    "Ed25519": lambda: request_pem(ed25519.Ed25519PrivateKey.generate()),
    "no subject": lambda: request_pem(make_key(), subject=""),
}


@pytest.mark.parametrize("make", FIT.values(), ids=FIT)
async def test_a_request_with_a_strong_key_is_signed(flow, make):
    answer = await flow.enrol(await flow.add("hospital-a"), make())
    assert read_identity(answer.certificate_chain_pem).federated_id == "hospital-a"


@pytest.mark.parametrize("party", ["", "a b", "../x", "x" * 64, "é", "a/b", "\x00"])
async def test_an_id_that_can_not_be_a_party_s_gets_no_token(flow, party):
    assert (await refused(flow.add(party)))[0] is INVALID


@pytest.mark.parametrize("hours", [0, -1, 169, 2**31 - 1])
async def test_a_token_lasts_an_hour_at_least_and_a_week_at_most(flow, hours):
    code, text = await refused(flow.add("hospital-a", valid_hours=hours))
    assert (code, "valid_hours" in text) == (INVALID, True)


async def test_a_replica_without_the_signing_key_serves_and_says_who_can_sign(secure, pki):
    signing = await secure()
    proof = await signing.proof_for("hospital-a")
    token = await signing.add("hospital-b")
    key, kept = pki.ca_key, pki.ca_key.with_name("away")
    key.rename(kept)
    other = await secure()
    agent = other.agent("hospital-a", proof)
    await agent.connect()
    stub = agents_pb2_grpc.AgentServiceStub(
        other.dial(other.server.agents_address, proof.credentials)
    )
    renewal = agents_pb2.RenewRequest(certificate_request_pem=request_pem(make_key()))
    for call in (
        other.add("hospital-c"),
        other.enrol(token, request_pem(make_key())),
        stub.Renew(renewal, timeout=ANSWER_S),
    ):
        code, text = await refused(call)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "ca.key" in text
    # Refusing needs no key.
    await other.revoke("hospital-a")
    assert await agent.ended() is grpc.StatusCode.PERMISSION_DENIED


async def test_nothing_that_is_stored_is_the_secret_itself(flow, rows):
    token = await flow.add("hospital-a")
    stored = await rows.fetchrow("SELECT * FROM enrolments")
    assert token.secret not in str(dict(stored))
    assert stored["secret_hash"] == token.digest
