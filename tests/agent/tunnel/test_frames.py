"""Framing: any pieces, and nothing that is no frame."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from party_agent.tunnel.frames import (
    END,
    MAX_PAYLOAD_BYTES,
    FrameBroken,
    Outcome,
    Unframer,
    frame,
    outcome_of,
    put_header,
)

payloads = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


def cut(data, places):
    """Return the data in pieces, cut at these places."""
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(payloads=payloads, places=st.lists(st.integers(0, 3000), max_size=40), ends=st.booleans())
def test_whatever_the_pieces_the_payload_is_the_same(payloads, places, ends):
    data = b"".join(frame(each) for each in payloads) + (END if ends else b"")
    unframer = Unframer()
    got = [bytes(part) for piece in cut(data, places) for part in unframer.feed(memoryview(piece))]
    assert b"".join(got) == b"".join(payloads)
    assert b"" not in got
    assert unframer.has_ended is ends


@given(st.binary(min_size=1, max_size=100))
def test_a_header_written_in_place_is_a_frames(payload):
    buffer = bytearray(4) + payload
    put_header(memoryview(buffer), len(payload))
    assert bytes(buffer) == frame(payload)


def test_nothing_may_follow_the_end():
    unframer = Unframer()
    with pytest.raises(FrameBroken, match="follows the end"):
        list(unframer.feed(memoryview(END + b"x")))


def test_a_frame_may_not_be_longer_than_anybody_makes_one():
    announced = (MAX_PAYLOAD_BYTES + 1).to_bytes(4, "big")
    with pytest.raises(FrameBroken):
        list(Unframer().feed(memoryview(announced)))
    assert list(Unframer().feed(memoryview(MAX_PAYLOAD_BYTES.to_bytes(4, "big")))) == []


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_is_one_byte(outcome):
    assert outcome_of(bytes([outcome])) is outcome


@pytest.mark.parametrize("payload", [b"", b"\x00\x00", b"\x63"])
def test_anything_else_is_none(payload):
    with pytest.raises(FrameBroken):
        outcome_of(payload)
