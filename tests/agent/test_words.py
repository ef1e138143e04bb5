"""What a workload says of itself is passed on: the newest word, and not at every word."""

from flow_contract.lifecycle import PartyRunState
from party_agent.unit import SelfReport
from party_agent.words import EVERY_S

S = PartyRunState


async def running(place):
    place.assign(command=("run",))
    await place.ear.until(S.RUNNING)
    return place.units._loops["run1"]


async def heard(place, epoch):
    async with place.ear._news:
        await place.ear._news.wait_for(lambda: place.ear.latest().current_epoch == epoch)


async def test_the_first_word_is_passed_on_at_once_and_the_next_ones_after_a_while(place):
    loop = await running(place)
    loop.hear(SelfReport(current_epoch=1, total_epoch=9))
    await heard(place, 1)
    before = len(place.ear.reports)
    for epoch in range(2, 8):
        loop.hear(SelfReport(current_epoch=epoch, total_epoch=9, note="x"))
    await place.clock.until_waiting(EVERY_S)
    place.clock.advance(EVERY_S)
    await heard(place, 7)
    assert len(place.ear.reports) == before + 1
    assert place.ear.latest().note == "x"


async def test_the_last_word_stands_in_the_last_report(place):
    loop = await running(place)
    for epoch in (1, 2):
        loop.hear(SelfReport(current_epoch=epoch))
        if epoch == 1:
            await heard(place, 1)
    place.state.end("run1", exit_code=0)
    end = await place.ear.until(S.SUCCEEDED)
    assert end.current_epoch == 2


async def test_words_outlive_the_agent(place):
    loop = await running(place)
    loop.hear(SelfReport(current_epoch=3, note="x"))
    await heard(place, 3)
    await place.restart()
    assert place.units.held[0].says == SelfReport(current_epoch=3, note="x")
