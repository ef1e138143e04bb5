"""Outputs over TLS: a site brings its own, by its certificate, and nobody else's."""

import pytest

from flow_contract.outputs import OutputState
from tests.server.output_client import OutputPusher

PARTY = "hospital-a"


async def test_an_agent_speaks_for_the_party_of_its_certificate_alone(flow):
    proof = await flow.proof_for(PARTY)
    address = flow.server.agents_address
    async with OutputPusher(address, PARTY, credentials=proof.credentials) as own:
        assert await own.hello("nobody") is OutputState.REFUSED
    async with OutputPusher(address, "hospital-b", credentials=proof.credentials) as other:
        with pytest.raises(AssertionError, match="speak for no other"):
            await other.hello("nobody")


async def test_a_revoked_party_brings_nothing_more_also_over_a_stream_that_is_open(flow):
    proof = await flow.proof_for(PARTY)
    async with OutputPusher(
        flow.server.agents_address, PARTY, credentials=proof.credentials
    ) as own:
        assert await own.hello("nobody") is OutputState.REFUSED
        await flow.revoke(PARTY)
        with pytest.raises(AssertionError, match="revoked"):
            await own.hello("nobody")
