"""When a certificate is renewed, and what happens when it can't be."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from party_agent.identity import files
from party_agent.identity.renewal import (
    LOOK_S,
    RENEW_AT,
    SPREAD,
    Renewal,
    due_at,
    is_alarming,
    retry_s,
)
from tests.agent.fakes import FakeClock, until
from tests.agent.identity.made import NOW, Ca

DAYS_90 = NOW + timedelta(days=90)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_it_is_due_after_two_thirds_of_its_life_here_and_a_little_chance(chance):
    due = due_at(received_at=NOW, not_after=DAYS_90, chance=chance)
    assert NOW + timedelta(days=60) <= due < NOW + timedelta(days=60 + 90 * SPREAD)
    assert RENEW_AT + SPREAD < 0.9


def test_a_short_life_counts_from_when_it_was_received_not_from_when_it_began():
    # A server dates its certificates back for late clocks; that is no part of the life.
    due = due_at(received_at=NOW, not_after=NOW + timedelta(seconds=30), chance=0.0)
    assert due == NOW + timedelta(seconds=20)


def test_only_the_last_tenth_is_alarming():
    assert not is_alarming(received_at=NOW, not_after=DAYS_90, now=NOW + timedelta(days=80))
    assert is_alarming(received_at=NOW, not_after=DAYS_90, now=NOW + timedelta(days=81))


@pytest.mark.parametrize(
    ("left", "delay_s", "waited_s"),
    [
        (timedelta(days=30), 3000.0, 3000.0),
        (timedelta(seconds=50), 3000.0, 10.0),
        (timedelta(seconds=-5), 3000.0, 1.0),
        (timedelta(days=30), 0.0, 1.0),
    ],
)
def test_retries_come_closer_as_the_end_does_and_never_in_a_loop(left, delay_s, waited_s):
    assert retry_s(delay_s, not_after=NOW + left, now=NOW) == waited_s


class Scene:
    def __init__(self, state_dir, *, target="127.0.0.1:1"):
        self.clock = FakeClock()
        self.renewed = 0
        self.renewal = Renewal(
            state_dir,
            target=target,
            clock=self.clock,
            random=lambda: 0.0,
            on_renewed=self._count,
        )

    def _count(self):
        self.renewed += 1


async def test_it_waits_in_short_pieces_and_asks_when_it_is_time(tmp_path):
    ca = Ca(at=NOW)
    files.write(tmp_path, ca.identity(at=NOW, days=90))
    scene = Scene(tmp_path)
    with capture_logs() as logs:
        running = asyncio.create_task(scene.renewal.run())
        await scene.clock.until_asleep(1)
        assert scene.clock.slept_s == [LOOK_S]
        scene.clock.advance(timedelta(days=60).total_seconds())
        # Nobody listens there: it is said, and tried again.
        await until(lambda: logs)
        assert (logs[0]["event"], logs[0]["log_level"]) == ("certificate_not_renewed", "warning")
        scene.clock.advance(timedelta(days=25).total_seconds())
        await until(lambda: len(logs) > 1)
        assert logs[1]["log_level"] == "error"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert scene.renewed == 0
    assert files.read(tmp_path).facts.party == "hospital-a"


async def test_an_identity_that_is_gone_is_said_and_looked_for_again(tmp_path):
    scene = Scene(tmp_path)
    with capture_logs() as logs:
        running = asyncio.create_task(scene.renewal.run())
        await scene.clock.until_asleep(1)
        scene.clock.advance(LOOK_S)
        await scene.clock.until_asleep(2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [each["event"] for each in logs] == ["identity_unusable"] * 2
