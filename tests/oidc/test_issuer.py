"""Tokens of an identity provider: only its own, for us, now; and what happens when it is away."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from flow_contract.access import CallerKind, Right, Role
from flow_contract.errors import InvalidArgument, Unauthenticated, Unavailable
from flow_server.oidc.issuer import Issuer, Trust
from flow_server.oidc.keys import ASK_AGAIN_S, FRESH_S, TRUSTED_S, IssuerKeys
from tests.oidc.local_issuer import AUDIENCE, LocalIssuer


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def provider():
    issuer = LocalIssuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def issuer(provider, clock):
    made = Issuer(trust(provider.url), IssuerKeys(provider.url, clock_s=clock, wait_s=10))
    yield made
    await made.aclose()


def trust(url, **changes):
    roles = {"lab-members": Role.RESEARCHER, "watchers": Role.VIEWER}
    return Trust(**{"issuer": url, "audience": AUDIENCE, "roles": roles, **changes})


def by_hand(header, claims, sign):
    """A token as no library would write it."""

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part(header) + b"." + part(claims)
    return (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


async def test_a_users_token_says_who_and_what(issuer, provider):
    caller = await issuer.caller_of(provider.sign())
    assert (caller.kind, caller.name) == (CallerKind.USER, "ana@127.0.0.1")
    assert caller.rights == {Right.READ, Right.RUN}


async def test_a_user_with_two_roles_has_the_rights_of_both(issuer, provider):
    caller = await issuer.caller_of(provider.sign(roles=["watchers", "lab-members", "other"]))
    assert caller.rights == {Right.READ, Right.READ_ALL, Right.RUN}


@pytest.mark.parametrize("roles", [None, [], ["admin"], "admin", 7, {"admin": True}, [["admin"]]])
async def test_a_user_without_a_role_here_has_no_right(issuer, provider, roles):
    assert (await issuer.caller_of(provider.sign(roles=roles))).rights == frozenset()


async def test_role_and_name_may_come_from_other_claims(provider, clock):
    given = trust(provider.url, user_claim="email", role_claim="realm_access.roles")
    issuer = Issuer(given, IssuerKeys(provider.url, clock_s=clock))
    token = provider.sign(email="ana@lab.example", realm_access={"roles": ["watchers"]})
    caller = await issuer.caller_of(token)
    assert (caller.name, Right.READ_ALL in caller.rights) == ("ana@lab.example@127.0.0.1", True)


BAD_CLAIMS = {
    "of another issuer": {"iss": "https://elsewhere.example"},
    "without an issuer": {"iss": None},
    "for another audience": {"aud": "somebody-else"},
    "without an audience": {"aud": None},
    "that expired two minutes ago": {"exp": int(time.time()) - 120},
    "that never expires": {"exp": None},
    "that is not valid yet": {"nbf": int(time.time()) + 3600},
    "without a name": {"sub": None},
    "with an empty name": {"sub": ""},
    "with a name that steers a terminal": {"sub": "\x1b[2J"},
    "with a name beyond all measure": {"sub": "a" * 1000},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_a_token_is_refused_that_is(issuer, provider, changes):
    with pytest.raises(Unauthenticated, match="sign in there again"):
        await issuer.caller_of(provider.sign(**changes))


async def test_a_clock_that_is_a_little_off_is_forgiven(issuer, provider):
    await issuer.caller_of(provider.sign(exp=int(time.time()) - 30))


async def test_a_token_that_nobody_signed_is_refused(issuer, provider):
    for algorithm in ("none", "None", "NONE", ""):
        header = {"alg": algorithm, "typ": "JWT", "kid": "one"}
        with pytest.raises(Unauthenticated):
            await issuer.caller_of(by_hand(header, provider.claims(), lambda _: b""))


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(issuer, provider):
    def sign(signed):
        return hmac.new(provider.public_pem(), signed, hashlib.sha256).digest()

    with pytest.raises(Unauthenticated):
        await issuer.caller_of(by_hand({"alg": "HS256", "kid": "one"}, provider.claims(), sign))


async def test_a_token_signed_with_somebodys_own_key_is_refused(issuer, provider):
    with pytest.raises(Unauthenticated):
        await issuer.caller_of(provider.sign(key=rsa.generate_private_key(65537, 2048)))


async def test_a_key_of_one_kind_does_not_pass_for_another(issuer, provider):
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Unauthenticated):
        await issuer.caller_of(provider.sign(key=key, algorithm="ES256"))


async def test_elliptic_keys_work_too(issuer, provider):
    provider.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    await issuer.caller_of(provider.sign(key_id="curve", algorithm="ES256"))


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "eyJhbGciOiJSUzI1NiJ9..", "ÿ.ÿ.ÿ", "." * 9, "a" * 20_000]
)
async def test_what_is_no_token_is_refused_and_asks_nobody(issuer, provider, text):
    with pytest.raises(Unauthenticated):
        await issuer.caller_of(text)
    assert provider.asked == 0


async def test_a_header_that_is_nested_without_end_is_refused(issuer):
    header = base64.urlsafe_b64encode(b"[" * 11_000).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        await issuer.caller_of(f"{header}.e30.AA")


async def test_a_new_key_is_found_and_a_withdrawn_one_is_forgotten(issuer, provider, clock):
    old = provider.sign()
    await issuer.caller_of(old)
    provider.keys = {"two": rsa.generate_private_key(65537, 2048)}
    clock.now_s += ASK_AGAIN_S + 1
    await issuer.caller_of(provider.sign(key_id="two"))
    with pytest.raises(Unauthenticated):
        await issuer.caller_of(old)


async def test_invented_key_ids_do_not_make_us_ask_again_and_again(issuer, provider):
    await issuer.caller_of(provider.sign())
    asked = provider.asked
    for number in range(20):
        forged = provider.sign(key_id=f"made-up-{number}", key=provider.keys["one"])
        with pytest.raises(Unauthenticated):
            await issuer.caller_of(forged)
    assert provider.asked == asked


async def test_known_keys_go_on_while_the_issuer_is_down_but_not_for_ever(issuer, provider, clock):
    token = provider.sign()
    await issuer.caller_of(token)
    provider.stop()
    clock.now_s += FRESH_S + 1
    await issuer.caller_of(token)
    clock.now_s += TRUSTED_S
    with pytest.raises(Unavailable, match="identity provider does not answer"):
        await issuer.caller_of(token)


async def test_an_issuer_that_was_never_there_is_said_to_be_away(clock):
    gone = LocalIssuer()
    token = gone.sign()
    gone.stop()
    issuer = Issuer(trust(gone.url), IssuerKeys(gone.url, clock_s=clock))
    with pytest.raises(Unavailable):
        await issuer.caller_of(token)


async def test_an_issuer_that_accepts_and_says_nothing_holds_nobody_up(clock, silent_port):
    url = f"http://127.0.0.1:{silent_port}"
    keys = IssuerKeys(url, clock_s=clock, wait_s=0.2)
    provider = LocalIssuer()
    token = provider.sign()
    provider.stop()
    issuer = Issuer(trust(url), keys)
    began_s = time.monotonic()
    with pytest.raises(Unavailable):
        await issuer.caller_of(token)
    assert time.monotonic() - began_s < 4
    await issuer.aclose()


async def test_a_discovery_document_of_another_issuer_is_not_believed(issuer, provider):
    provider.claimed_issuer = "https://elsewhere.example"
    with pytest.raises(Unavailable):
        await issuer.caller_of(provider.sign())


@pytest.mark.parametrize("url", ["http://login.example", "ftp://a", "login.example", ""])
def test_an_issuer_must_be_reached_over_tls(url):
    with pytest.raises(InvalidArgument, match="https"):
        Issuer(trust(url), IssuerKeys(url))
