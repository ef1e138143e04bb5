"""A run that waits for a yes from the site's own people, whatever else happens meanwhile."""

import stat

import pytest

from flow_contract.lifecycle import Desired, PartyRunState
from flow_contract.reasons import Reason
from party_agent.control_client import SOCKET_NAME, AgentSilent, ask
from party_agent.endings import WAITING_FOR_APPROVAL
from tests.agent.fakes import make_assignment, until
from tests.agent.policy.conftest import Ruled

S = PartyRunState
MANUAL = "[approval]\nmode = 'manual'\n"


async def held(ruled, **changes):
    """Return what is shown of a run that the server wants running."""
    ruled.server.assign(make_assignment(**changes))
    (shown,) = await ruled.until_pending()
    return shown


async def test_a_run_is_prepared_and_held_until_somebody_says_yes(ruled):
    await ruled.start(MANUAL)
    shown = await held(ruled, desired=Desired.PREPARED)
    report = await ruled.server.until_state(S.PREPARING)
    await ruled.server.until(lambda: ruled.server.latest().message == WAITING_FOR_APPROVAL)
    assert report.reason is Reason.NONE
    assert set(ruled.workloads) == {"run1"}
    assert ruled.starts == {}
    assert shown["spec"]["image_url"] == "trainer:1"
    assert await ruled.answer(shown) == {"done": True}
    await ruled.server.until_state(S.PREPARED)
    assert ruled.starts == {}
    ruled.server.assign(make_assignment())
    await ruled.server.until_state(S.RUNNING)
    assert ruled.starts == {"run1": 1}
    assert await ruled.pending() == []


async def test_a_run_that_somebody_denies_is_refused_by_the_rule_and_removed(ruled):
    await ruled.start(MANUAL)
    assert await ruled.answer(await held(ruled), granted=False) == {"done": True}
    report = await ruled.server.until_state(S.REFUSED)
    assert report.reason is Reason.POLICY_DENIED
    assert report.message.startswith("Rule approval.mode.")
    await until(lambda: ruled.workloads == {})
    assert ruled.starts == {}


async def test_a_run_that_nobody_answers_in_time_is_refused_by_the_rule(ruled):
    await ruled.start(MANUAL + "timeout_s = 1\n")
    ruled.server.assign(make_assignment())
    report = await ruled.server.until_state(S.REFUSED)
    assert report.message.startswith("Rule approval.timeout_s.")
    assert ruled.starts == {}


async def test_a_stop_reaches_a_run_that_waits(ruled):
    await ruled.start(MANUAL)
    await held(ruled)
    ruled.server.assign(make_assignment("run1", Desired.STOPPED, Reason.STOPPED_BY_USER))
    await ruled.server.until_state(S.STOPPED)
    await until(lambda: ruled.workloads == {})
    assert await ruled.pending() == []


async def test_an_answer_works_while_the_server_is_away(ruled):
    await ruled.start(MANUAL)
    shown = await held(ruled)
    address = ruled.server.address
    await ruled.server.stop()
    assert await ruled.answer(shown) == {"done": True}
    await until(lambda: ruled.starts == {"run1": 1})
    await ruled.server.start(address)
    await ruled.server.until_state(S.RUNNING)


async def test_a_question_and_its_answer_survive_the_agent(ruled):
    await ruled.start(MANUAL)
    shown = await held(ruled)
    await ruled.site.kill()
    await ruled.start()
    assert await ruled.until_pending() == [shown]
    assert ruled.starts == {}
    # The agent dies right after it gave its word.
    assert await ruled.answer(shown) == {"done": True}
    await ruled.site.kill()
    await ruled.start()
    await ruled.server.until_state(S.RUNNING)
    assert ruled.starts == {"run1": 1}


async def test_an_answer_is_for_what_was_shown_and_for_nothing_else(ruled):
    await ruled.start(MANUAL)
    shown = await held(ruled)
    for changes in ({"digest": "0" * 64}, {"digest": ""}, {"party_run_id": "run2"}):
        assert "look at it again" in (await ruled.answer(shown, **changes))["error"]
    assert await ruled.pending() == [shown]
    assert ruled.starts == {}


async def test_the_first_answer_stands_and_may_be_repeated(ruled):
    await ruled.start(MANUAL)
    shown = await held(ruled)
    assert await ruled.answer(shown) == {"done": True}
    await ruled.server.until_state(S.RUNNING)
    assert await ruled.answer(shown) == {"done": True}
    assert await ruled.answer(shown, granted=False) == {"error": "the answer was granted already"}


async def test_a_change_to_automatic_lets_go_what_waits(ruled):
    await ruled.start(MANUAL)
    await held(ruled)
    ruled.rule("")
    await ruled.server.until_state(S.RUNNING)


async def test_a_change_to_manual_holds_what_is_prepared_but_not_launched(ruled):
    await ruled.start("")
    ruled.server.assign(make_assignment(desired=Desired.PREPARED))
    await ruled.server.until_state(S.PREPARED)
    ruled.rule(MANUAL)
    shown = await held(ruled)
    assert ruled.server.latest().state is S.PREPARED
    assert ruled.starts == {}
    await ruled.answer(shown)
    await ruled.server.until_state(S.RUNNING)


@pytest.mark.parametrize(
    "request_",
    [{}, [], "x", {"do": "answer"}, {"do": "launch"}, {"do": "answer", "party_run_id": 1}],
)
async def test_a_request_that_is_not_understood_is_answered_and_changes_nothing(ruled, request_):
    await ruled.start(MANUAL)
    shown = await held(ruled)
    assert "does not understand" in (await ruled.ask(request_))["error"]
    assert await ruled.pending() == [shown]


async def test_the_socket_is_the_agent_s_own_and_gone_with_it(ruled):
    await ruled.start(MANUAL)
    await ruled.site.agent.connected.wait()
    await ruled.until_pending(0)
    path = ruled.state_dir / SOCKET_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await ruled.site.leave()
    assert not path.exists()
    with pytest.raises(AgentSilent, match="no agent answers"):
        ask(ruled.state_dir, {"do": "pending"})


async def test_a_state_directory_of_any_length_has_its_socket(tmp_path, server):
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    ruled = Ruled(folder, server)
    await ruled.start(MANUAL)
    try:
        await held(ruled)
    finally:
        await ruled.site.kill()
