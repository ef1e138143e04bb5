"""Bearer tokens of an issuer that a whole server was told to trust, and of one that it wasn't."""

import pytest

from flow_contract.access import Right
from flow_contract.errors import Forbidden, Unauthenticated
from tests.oidc.local_issuer import AUDIENCE, LocalIssuer


@pytest.fixture
def issuer():
    issuer = LocalIssuer()
    yield issuer
    issuer.stop()


@pytest.fixture
def oidc(issuer):
    return {
        "oidc_issuer": issuer.url,
        "oidc_audience": AUDIENCE,
        "oidc_roles": {"lab-members": "researcher", "it": "admin"},
    }


async def test_who_signed_in_at_the_issuer_owns_what_they_make(issuer, sdk_of, people):
    ana = await sdk_of(issuer.sign())
    assert (await ana.user.whoami())["data"]["name"] == "ana@127.0.0.1"
    made = await ana.template.create("by ana", "image:1", "", ["run"])
    rob = await sdk_of(issuer.sign(sub="rob"))
    with pytest.raises(Forbidden):
        await rob.template.delete(made["data"]["template_id"])
    assert (await ana.template.delete(made["data"]["template_id"]))["ret_code"] == 0
    entries = (await people.admin.audit.list(0, 1000))["data"]["entries"]
    assert "ana@127.0.0.1" in {entry["actor"] for entry in entries}


async def test_the_issuer_s_roles_decide_what_they_may(issuer, sdk_of):
    member = await sdk_of(issuer.sign())
    with pytest.raises(Forbidden):
        await member.user.list()
    admin = await sdk_of(issuer.sign(sub="root", roles=["it"]))
    assert (await admin.user.list())["ret_code"] == 0
    assert Right.MANAGE in (await admin.user.whoami())["data"]["rights"]


@pytest.mark.parametrize(
    "changes",
    [{"aud": "another-service"}, {"iss": "https://elsewhere.example"}, {"exp": 1}],
    ids=["for another service", "of another issuer", "expired"],
)
async def test_a_token_that_is_not_for_this_server_is_refused(issuer, sdk_of, changes):
    stranger = await sdk_of(issuer.sign(**changes))
    with pytest.raises(Unauthenticated):
        await stranger.template.list()


async def test_somebody_without_a_role_here_may_do_nothing(issuer, sdk_of):
    guest = await sdk_of(issuer.sign(roles=["visitors"]))
    with pytest.raises(Forbidden):
        await guest.template.list()
