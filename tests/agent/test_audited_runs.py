"""What a site's audit log says of its runs, and the command that reads it."""

import json

import pytest
from click.testing import CliRunner

from flow_contract.audit import Outcome, verify
from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from flow_server_sdk.cli import main
from party_agent.audit import FILE_NAME, read
from tests.agent.fakes import make_assignment, until
from tests.agent.policy.conftest import ruled  # noqa: F401  its fixture

S = PartyRunState


def entries_of(site):
    path = site.settings.state_dir / FILE_NAME
    return list(read(path)) if path.exists() else []


def told(site, party_run_id="run1"):
    return [
        (entry.act.action, entry.act.outcome)
        for entry in entries_of(site)
        if entry.act.subject_id == party_run_id
    ]


async def until_told(site, action):
    await until(lambda: action in [action for action, _ in told(site)])


async def test_a_run_is_noted_as_it_is_let_in_launched_and_ended(server, site):
    command = ("exit", "3")
    server.assign(make_assignment(desired=Desired.PREPARED, command=command))
    await server.until_state(S.PREPARED)
    server.assign(make_assignment(desired=Desired.RUNNING, command=command))
    await server.until_state(S.FAILED)
    await until_told(site, "run.end")
    assert told(site) == [
        ("run.admit", Outcome.DONE),
        ("run.launch", Outcome.DONE),
        ("run.end", Outcome.DONE),
    ]
    end = entries_of(site)[-1].act
    assert (end.detail["reason"], end.detail["exit_code"]) == (str(Reason.EXIT_NONZERO), "3")
    assert verify(entries_of(site)) is None


async def test_who_asked_stands_in_the_entry(server, site):
    server.assign(make_assignment(requested_by="alice", command=("exit", "0")))
    await until_told(site, "run.end")
    assert {(entry.act.actor_kind, entry.act.actor) for entry in entries_of(site)} == {
        ("user", "alice")
    }


async def test_a_refusal_is_noted_as_denied_with_the_rule(server, site):
    server.assign(make_assignment(federated_data="secrets", command=("exit", "0")))
    await server.until_state(S.REFUSED)
    await until_told(site, "run.refuse")
    (entry,) = [entry for entry in entries_of(site) if entry.act.action == "run.refuse"]
    assert entry.act.outcome is Outcome.DENIED
    assert entry.act.detail["reason"] == str(Reason.DATA_UNKNOWN)
    assert "data" in entry.act.detail["why"]


async def test_the_next_agent_goes_on_with_the_chain_and_repeats_nothing(server, site):
    server.assign(make_assignment(command=("hold", "run")))
    await server.until_state(S.PREPARING)
    await until_told(site, "run.admit")
    await site.kill()
    await site.start()
    server.assign(make_assignment("run1", Desired.STOPPED, Reason.STOPPED_BY_USER))
    await server.until_state(S.STOPPED)
    await until_told(site, "run.end")
    assert [action for action, _ in told(site)] == ["run.admit", "run.end"]
    assert verify(entries_of(site)) is None


async def test_a_yes_of_the_site_s_people_is_noted(ruled):  # noqa: F811  the fixture
    await ruled.start("[approval]\nmode = 'manual'\n")
    ruled.server.assign(make_assignment())
    (shown,) = await ruled.until_pending()
    await ruled.answer(shown)
    await ruled.server.until_state(S.RUNNING)
    actions = [action for action, _ in told(ruled.site)]
    assert [action for action in actions if action.startswith("approval")] == [
        "approval.awaited",
        "approval.granted",
    ]


async def record_two(server, site):
    server.assign(make_assignment(command=("exit", "0")))
    await until_told(site, "run.end")


def fedflow_audit(site, *arguments):
    place = str(site.settings.state_dir)
    return CliRunner().invoke(main, ["agent", "audit", *arguments, "--state-dir", place])


async def test_the_command_lists_and_verifies_the_site_s_log(server, site):
    await record_two(server, site)
    listed = fedflow_audit(site, "list")
    assert listed.exit_code == 0, listed.output
    assert "run.admit" in listed.output
    documents = [
        json.loads(line) for line in fedflow_audit(site, "list", "--json").output.splitlines()
    ]
    newest = f"{documents[-1]['sequence']}:{documents[-1]['hash']}"
    verified = fedflow_audit(site, "verify", "--expect", newest)
    assert verified.output == f"{len(documents)} entries hold; newest {newest}\n"


NEW_WORD = {"exchange": "run.refuse", "cut": "run.admit"}


@pytest.mark.parametrize("change", NEW_WORD)
async def test_the_command_finds_what_was_changed(server, site, change):
    await record_two(server, site)
    path = site.settings.state_dir / FILE_NAME
    lines = path.read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])
    kept = lines[:-1] if change == "cut" else lines
    path.write_text("".join(kept).replace("run.admit", NEW_WORD[change]))
    result = fedflow_audit(site, "verify", "--expect", f"{last['sequence']}:{last['hash']}")
    assert result.exit_code == 1
    assert "entry" in result.output


def test_a_place_without_a_log_is_said(tmp_path):
    result = CliRunner().invoke(main, ["agent", "audit", "verify", "--state-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "there is no audit log" in result.output
