"""What others wrote is shown and steers nothing."""

import pytest

from flow_contract.foreign_text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Klinik Süd 病院 1/2", "Klinik Süd 病院 1/2"),
        ("\x1b[2J\x1b]0;owned\x07", "?[2J?]0;owned?"),
        ("\x9b2J", "?2J"),
        ("two\nlines\r", "two?lines?"),
        ("turned\u202eround", "turned?round"),
        ("half\ud83d", "half?"),
    ],
)
def test_what_would_steer_a_terminal_is_a_question_mark(text, shown):
    assert printable(text) == shown
