"""What a site refuses when it enrols: servers that are not its own, and answers that do not fit."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509

from flow_contract.secrets import write_enrolment
from flow_wire import enrolment_pb2, enrolment_pb2_grpc
from party_agent.identity import files
from party_agent.identity.enrolment import EnrolmentFailed, enrol
from party_agent.identity.files import IdentityUnusable
from party_agent.identity.keys import make_key, make_request
from tests.agent.identity.made import Ca, enrolment_token

PARTY = "hospital-a"


def now():
    return datetime.now(UTC)


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def enrol_here(server, token, folder):
    return enrol(server, token, pending=folder, now=now, pause=lambda _: None)


class Enroller(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Answers each question with what `answer` makes of it."""

    def __init__(self, answer):
        self._answer = answer
        self.requests = []

    async def Enrol(self, request, context):  # noqa: N802  gRPC's name
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "scripted")
        return answer


@pytest.fixture
async def listening():
    """Serve an Enroller, over TLS with this pair or in plain text; return its address."""
    servers = []

    async def serve(enroller, pair=None):
        server = grpc.aio.server()
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(enroller, server)
        if pair is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            credentials = grpc.ssl_server_credentials([(pair.key_pem, pair.certificate_pem)])
            port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        await server.stop(0)


@pytest.fixture
def ca():
    return Ca()


@pytest.fixture
def good(ca):
    """What an honest server answers."""

    def answer(request):
        return enrolment_pb2.EnrolResponse(
            federated_id=PARTY,
            certificate_chain_pem=ca.sign(request.certificate_request_pem, PARTY),
            ca_pem=ca.pem,
            agents_address=":5",
        )

    answer.ca = ca
    return answer


async def asked(server, token, folder):
    return await asyncio.to_thread(enrol_here, server, token, folder)


async def test_an_honest_answer_is_an_identity(listening, ca, good, tmp_path):
    address = await listening(Enroller(good), ca.server())
    answered = await asked(address, enrolment_token(der(ca.pem)), tmp_path)
    identity = answered.identity
    assert (identity.party, identity.server, identity.ca_pem) == (PARTY, address, ca.pem)
    assert identity.agents_address == "127.0.0.1:5"


async def test_a_server_of_another_ca_is_not_asked_and_never_hears_the_secret(
    listening, ca, good, tmp_path
):
    enroller = Enroller(good)
    address = await listening(enroller, Ca().server())
    with pytest.raises(EnrolmentFailed, match="not by the CA that came with the enrolment token"):
        await asked(address, enrolment_token(der(ca.pem)), tmp_path)
    assert enroller.requests == []


async def test_a_server_in_plain_text_is_not_asked(listening, ca, good, tmp_path):
    enroller = Enroller(good)
    address = await listening(enroller)
    with pytest.raises(EnrolmentFailed, match=r"does not speak TLS|instead of speaking TLS"):
        await asked(address, enrolment_token(der(ca.pem)), tmp_path)
    assert enroller.requests == []


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (lambda ca: ca.server("flow.example.org"), "is not for 127.0.0.1"),
        (lambda ca: ca.server(at=ca.now() - timedelta(days=500)), "has expired"),
        (lambda ca: ca.server(at=ca.now() + timedelta(days=5)), "is not valid yet"),
    ],
)
async def test_a_server_with_an_unfit_certificate_is_not_asked_and_it_is_said_why(
    listening, good, tmp_path, pair, words
):
    enroller, ca = Enroller(good), good.ca
    address = await listening(enroller, pair(ca))
    with pytest.raises(EnrolmentFailed, match=words):
        await asked(address, enrolment_token(der(ca.pem)), tmp_path)
    assert enroller.requests == []


def _somebody_elses(ca, request):
    return ca.sign(make_request(make_key()), PARTY)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda ca, r: {"certificate_chain_pem": _somebody_elses(ca, r)}, "another key"),
        (lambda ca, _: {"certificate_chain_pem": ca.server().certificate_pem}, "names no party"),
        (lambda ca, _: {"certificate_chain_pem": ca.pem}, "not a party's"),
        (lambda ca, _: {"certificate_chain_pem": b"hello"}, "no certificate"),
        (lambda ca, _: {"federated_id": "hospital-b"}, "says party 'hospital-b'"),
        (lambda ca, _: {"ca_pem": Ca().pem}, "another CA than the token's"),
        (lambda ca, _: {"ca_pem": b""}, "another CA than the token's"),
        (lambda ca, _: {"agents_address": "nowhere"}, "did not say where agents connect"),
    ],
)
async def test_an_answer_that_does_not_fit_is_not_believed(
    listening, good, tmp_path, changes, words
):
    ca = good.ca

    def answer(request):
        fitting = good(request)
        for field, value in changes(ca, request.certificate_request_pem).items():
            setattr(fitting, field, value)
        return fitting

    address = await listening(Enroller(answer), ca.server())
    with pytest.raises(EnrolmentFailed, match=words):
        await asked(address, enrolment_token(der(ca.pem)), tmp_path)


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(listening, ca, good, tmp_path):
    enroller = Enroller(
        lambda request: (
            good(request) if len(enroller.requests) == 4 else grpc.StatusCode.UNAVAILABLE
        )
    )
    address = await listening(enroller, ca.server())
    token = enrolment_token(der(ca.pem))
    with pytest.raises(EnrolmentFailed, match="run this again with the same one"):
        await asked(address, token, tmp_path)
    answered = await asked(address, token, tmp_path)
    assert answered.identity.party == PARTY
    keys = {_public_key(request.certificate_request_pem) for request in enroller.requests}
    assert (len(enroller.requests), len(keys)) == (4, 1)


def _public_key(request_pem):
    return x509.load_pem_x509_csr(request_pem).public_key().public_numbers()


async def test_a_token_with_a_letter_wrong_is_refused_as_any_other(flow, tmp_path):
    token = await flow.add(PARTY)
    wrong = enrolment_token(token.ca_der)
    with pytest.raises(EnrolmentFailed, match="it is wrong, too old, was used"):
        await asked(flow.server.grpc_address, wrong, tmp_path)


async def test_a_key_that_others_can_read_is_nothing_to_ask_with(tmp_path, ca):
    files.pending_key(tmp_path, enrolment_token(der(ca.pem)).token_id, make_key())
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    with pytest.raises(IdentityUnusable, match="can be read by others"):
        enrol_here("127.0.0.1:1", enrolment_token(der(ca.pem)), tmp_path)


def test_no_secret_of_a_token_is_in_its_repr(ca):
    token = enrolment_token(der(ca.pem))
    assert token.secret not in repr(token)
    assert write_enrolment(token, token.ca_der) not in repr(token)
