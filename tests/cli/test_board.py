"""What a watch shows: the board, its lines without a terminal, its drawing on one."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from flow_server_sdk.cli.watching.board import Board
from flow_server_sdk.cli.watching.live import View, clock
from flow_server_sdk.cli.watching.plain import Changes
from flow_server_sdk.cli.watching.port import Connection, Line, MetricNews, OutputNews, TaskNews


def party(name, **changes):
    plain = {
        "federated_id": name,
        "state": "running",
        "reason": "none",
        "message": "",
        "note": "",
        "current_epoch": None,
        "total_epoch": None,
        "started_at": "Sat, 21 Nov 2026 06:47:51 -0000",
        "finished_at": None,
    }
    return {**plain, **changes}


def news(*parties, status="Running", run_id="r", is_end=False, **changes):
    plain = {"name": "task", "status": status, "run_id": run_id, "run_message": ""}
    return TaskNews(task={**plain, "party_status": list(parties), **changes}, is_end=is_end)


@pytest.fixture
def board():
    board = Board()
    board.take(news(party("a"), party("b", state="pending", started_at=None)), now_s=100.0)
    return board


def drawn(board, *, width, height, lines=(), now_s=100.0):
    console = Console(width=width, height=height, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(View(board, lines, now_s=now_s))
    return captured.get().splitlines()


def test_time_runs_from_the_first_sight_to_the_end(board):
    a, b = board.parties
    assert (a.elapsed_s(107.0), b.elapsed_s(107.0)) == (7.0, None)
    board.take(news(party("a", state="succeeded"), party("b")), now_s=110.0)
    a, b = board.parties
    assert (a.elapsed_s(500.0), b.elapsed_s(500.0)) == (10.0, 390.0)


def test_who_looks_later_counts_from_the_start():
    board = Board()
    board.take(news(party("a")), now_s=100.0, ran_s={"a": 3600.0})
    assert board.parties[0].elapsed_s(101.0) == 3601.0


def test_of_an_ended_party_the_site_s_own_clock_says_how_long_it_ran(board):
    board.take(news(party("a", state="failed")), now_s=101.0, ran_s={"a": 42.0})
    board.take(news(party("a", state="failed")), now_s=900.0, ran_s={"a": 42.0})
    assert board.parties[0].elapsed_s(1000.0) == 42.0


def test_the_image_s_layers_fill_a_bar_that_stays_full(board):
    def pulling(message):
        return news(party("a", state="preparing", reason="pulling_image", message=message))

    board.take(pulling("Pulling x. Pulling the image."), now_s=1.0)
    assert board.parties[0].pulled == 0.0
    board.take(pulling("Pulling x: 3 of 4 layers. Pulling the image."), now_s=1.0)
    assert board.parties[0].pulled == 0.75
    board.take(news(party("a", state="prepared")), now_s=1.0)
    assert board.parties[0].pulled == 1.0


def test_a_loss_is_shown_before_other_metrics(board):
    for name, value in (("accuracy", 0.5), ("loss", 0.4), ("speed", 9.0)):
        board.take(MetricNews(party="a", name=name, step=1, value=value), now_s=1.0)
    board.take(MetricNews(party="nobody", name="loss", step=1, value=1.0), now_s=1.0)
    assert [each.metric for each in board.parties] == [("loss", 0.4), None]


def outputs(party, *, complete=False, files=0, arrived=0, coming=0, stored=0):
    return OutputNews(
        party=party, complete=complete, files=files, bytes=arrived, coming_bytes=coming,
        stored_bytes=stored,
    )  # fmt: skip


def test_outputs_fill_a_bar_by_bytes_until_they_are_there(board):
    changes = Changes()
    changes.of(board)
    a = board.parties[0]
    assert (a.uploaded, a.is_coming) == (None, False)
    board.take(outputs("a"), now_s=1.0)
    assert (a.uploaded, a.is_coming) == (None, True)
    board.take(outputs("a", files=1, arrived=10, coming=30, stored=20), now_s=1.0)
    assert a.uploaded == 0.75
    assert "outputs" in drawn(board, width=120, height=24)[1]
    assert changes.of(board) == []
    board.take(outputs("a", complete=True, files=2, arrived=40), now_s=1.0)
    assert (a.uploaded, a.is_coming) == (1.0, False)
    assert changes.of(board) == ["a outputs are there"]


def test_a_party_without_outputs_has_no_bar_and_one_that_never_ran_none_to_come(board):
    board.take(outputs("a", complete=True), now_s=1.0)
    board.take(outputs("b"), now_s=1.0)
    assert [(each.uploaded, each.is_coming) for each in board.parties] == [(None, False)] * 2
    assert "outputs" not in drawn(board, width=120, height=24)[1]


def test_a_retry_begins_with_nothing_known(board):
    board.take(MetricNews(party="a", name="loss", step=1, value=0.4), now_s=1.0)
    board.take(news(party("a", state="pending", started_at=None), run_id="next"), now_s=2.0)
    [a] = board.parties
    assert (a.metric, a.began_s) == (None, None)


def test_only_what_changed_is_a_line(board):
    changes = Changes()
    assert changes.of(board) == ["a running", "b pending", "task Running"]
    assert changes.of(board) == []
    board.take(Connection(is_lost=True), now_s=1.0)
    assert changes.of(board) == ["reconnecting…"]
    board.take(Connection(is_lost=False), now_s=1.0)
    assert changes.of(board) == ["connected again"]
    failed = party("b", state="failed", reason="exit_nonzero", message="It broke.")
    board.take(news(party("a", current_epoch=2, total_epoch=9, note="half"), failed), now_s=1.0)
    assert changes.of(board) == [
        "a epoch 2/9",
        "a says: half",
        "b failed (exit_nonzero): It broke.",
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.9, "0:00"), (75, "1:15"), (3600, "1:00:00"), (90061, "25:01:01")]
)
def test_seconds_are_shown_as_a_clock_does(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize("width", [1, 8, 20, 40, 80, 200])
@pytest.mark.parametrize("height", [2, 5, 24, 80])
@pytest.mark.parametrize("parties", [1, 3, 50])
def test_it_fits_into_any_terminal(width, height, parties):
    board = Board()
    wide = [
        party(f"病院-{number}-" + "x" * (number * 5), message="word " * 40, reason="exit_nonzero")
        for number in range(parties)
    ]
    board.take(news(*wide), now_s=0.0)
    board.take(
        MetricNews(party=wide[0]["federated_id"], name="損失" * 20, step=1, value=1), now_s=0
    )
    lines = [Line(party=f"p{n}", text="世界\t\x1b[2J" * 200) for n in range(5)]
    found = drawn(board, width=width, height=height, lines=lines)
    assert max(map(cell_len, found)) <= width
    # Title, heading and a party are shown wherever they have to be.
    assert len(found) <= max(height, 4)
    assert not any("\x1b" in line for line in found)


def test_what_does_not_fit_is_counted_and_who_has_ended_gives_way():
    board = Board()
    ended = [party(f"ended-{n}", state="succeeded") for n in range(10)]
    board.take(news(*ended, party("late"), party("failed", state="failed")), now_s=0.0)
    found = drawn(board, width=80, height=8)
    assert any(line.startswith("late") for line in found)
    assert any("and 8 more: 7 succeeded, 1 failed" in line for line in found)


def test_a_lost_server_is_in_the_title(board):
    board.take(Connection(is_lost=True), now_s=1.0)
    assert "reconnecting…" in drawn(board, width=80, height=24)[0]
