"""What the server's audit log says of calls over TLS: who, what, and how it ended; no secrets."""

import grpc
import pytest

from flow_contract.access import Role
from flow_contract.audit import from_document, verify
from flow_contract.errors import Forbidden, Unauthenticated


async def entries_of(people):
    answer = await people.admin.audit.list(0, 1000)
    return answer["data"]["entries"]


async def acts(people):
    return [
        (entry["actor"], entry["action"], entry["outcome"]) for entry in await entries_of(people)
    ]


async def test_each_change_is_noted_with_who_made_it_and_the_chain_holds(people, ana):
    made = await ana.template.create("audited", "image:1", "", ["run"])
    template_id = made["data"]["template_id"]
    await ana.template.delete(template_id)
    entries = await entries_of(people)
    noted = [
        (entry["actor"], entry["action"], entry["outcome"], entry["subject_id"])
        for entry in entries
        if entry["subject_kind"] == "template"
    ]
    assert noted == [
        ("anette", "TemplateService/Create", "done", template_id),
        ("anette", "TemplateService/Delete", "done", template_id),
    ]
    assert verify(from_document(entry) for entry in entries) is None
    assert all(entry["address"].startswith("ipv4:127.0.0.1:") for entry in entries)


async def test_what_is_only_read_by_who_may_leaves_nothing(people, ana):
    before = len(await entries_of(people))
    await ana.template.list()
    await ana.party.list()
    assert len(await entries_of(people)) == before


async def test_a_call_that_is_denied_is_noted_whatever_it_is(people, ana):
    with pytest.raises(Forbidden):
        await ana.audit.list()
    assert ("anette", "AuditService/List", "denied") in await acts(people)


async def test_who_proves_nothing_is_noted_as_nobody(people, sdk_of):
    stranger = await sdk_of("ff.000000000000." + 43 * "A")
    with pytest.raises(Unauthenticated):
        await stranger.template.list()
    (entry,) = [one for one in await entries_of(people) if one["actor_kind"] == "nobody"]
    assert (entry["action"], entry["outcome"]) == ("TemplateService/List", "denied")


async def test_a_change_that_failed_is_noted_as_failed(people, ana):
    assert (await ana.template.delete("0" * 30))["ret_code"] == 10200
    (entry,) = [
        one for one in await entries_of(people) if one["action"] == "TemplateService/Delete"
    ]
    assert (entry["outcome"], entry["detail"]["code"]) == ("failed", "NOT_FOUND")


async def test_a_site_that_is_refused_or_let_in_is_noted_by_its_party(flow, rows):
    proof = await flow.proof_for("hospital-a")
    agent = flow.agent("hospital-a", proof)
    await agent.connect()
    forger = flow.agent("hospital-b", proof)
    with pytest.raises(grpc.aio.AioRpcError):
        await forger.connect()
    noted = await rows.fetch(
        "SELECT actor, outcome FROM audit WHERE action = 'AgentService/Connect' ORDER BY sequence"
    )
    assert [tuple(row) for row in noted] == [("hospital-a", "done"), ("hospital-a", "denied")]


async def test_no_secret_is_ever_in_an_entry(people):
    await people.add("karl", Role.VIEWER)
    added = await people.admin.party.add("hospital-z")
    secrets = [token.split(".")[2] for token in people.tokens.values()]
    secrets.append(added["data"]["enrolment_token"].split(".")[2])
    text = str(await entries_of(people))
    assert "karl" in text
    assert [secret for secret in secrets if secret in text] == []
