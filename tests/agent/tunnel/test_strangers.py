"""Who holds a good ticket and is not the party: over real TLS, with real certificates."""

import asyncio
import contextlib

import pytest

from party_agent.identity import files
from party_agent.tunnel.credentials import CredentialsOnDisk, NoCredentials
from party_agent.tunnel.ends import NotConnected
from tests.agent.identity.made import Ca
from tests.agent.tunnel.both import Both, heard, is_reset, now, said, tcp_pair

OURS = Ca()


def another_party(ca):
    return ca.identity("c")


def another_authority(_):
    return Ca(label="another").identity("b")


def expired(ca):
    from datetime import timedelta  # noqa: PLC0415  one table row's own

    return ca.identity("b", at=now() - timedelta(days=10), days=1.0)


async def outcome(task):
    return (await asyncio.gather(task, return_exceptions=True))[0]


@pytest.mark.parametrize("comes", [another_party, another_authority, expired])
@pytest.mark.parametrize("is_dialling", [True, False], ids=["dials", "answers"])
async def test_a_party_that_is_not_the_expected_one_gets_no_byte(
    tmp_path, relay, comes, is_dialling
):
    both = Both(tmp_path, relay, ca=OURS)
    files.write(both.places["b"], comes(OURS))
    ticket = relay.issue()
    (own_a, agents_a), (own_b, agents_b) = tcp_pair(), tcp_pair()
    line_a, line_b = both.a.line(ticket, "b"), both.b.line(ticket, "a")
    with own_a, own_b:
        await said(own_a, b"a secret")
        honest = both.own(
            both.a.answer(line_a, agents_a) if is_dialling else both.a.dial(line_a, agents_a)
        )
        stranger = both.own(
            both.b.dial(line_b, agents_b) if is_dialling else both.b.answer(line_b, agents_b)
        )
        refused = await outcome(honest)
        assert isinstance(refused, NotConnected)
        assert refused.is_untrusted
        assert await is_reset(own_a)
        await outcome(stranger)
        with contextlib.suppress(ConnectionResetError):
            assert await heard(own_b, 1) == b""
    assert both.a.count.sent_bytes == both.b.count.received_bytes == 0
    await both.aclose()


async def test_a_renewed_identity_is_used_by_the_next_connection(tmp_path, relay):
    both = Both(tmp_path, relay, ca=OURS)
    for _ in range(2):
        async with both.connection() as (own_a, own_b, _, _):
            await said(own_a, b"x")
            assert await heard(own_b, 1) == b"x"
        files.write(both.places["b"], OURS.identity("b"))
    await both.aclose()


def test_a_site_without_an_identity_has_nothing_to_show(tmp_path):
    with pytest.raises(NoCredentials):
        CredentialsOnDisk(tmp_path).current()


def test_a_site_that_does_not_know_who_signs_parties_trusts_nobody(tmp_path):
    from dataclasses import replace  # noqa: PLC0415  one test's own

    files.write(tmp_path, replace(OURS.identity("a"), ca_pem=Ca(label="operator's").pem))
    with pytest.raises(NoCredentials, match="who signs parties"):
        CredentialsOnDisk(tmp_path).current()
