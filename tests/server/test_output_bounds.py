"""Outputs that are too much, or whose names lead elsewhere, are refused with what is wrong."""

import pytest

from flow_contract.outputs import OutputState
from tests.server.output_client import LARGE, file_of


@pytest.mark.parametrize(
    "server_options",
    [
        {
            "output_bytes_per_file": 9_000_000,
            "output_bytes_per_party_run": 20_000_000,
            "output_files_per_party_run": 3,
        }
    ],
)
async def test_what_is_too_much_is_refused_with_what_is_too_much(running_one, pusher):
    (answer,) = await pusher.offer(file_of("large", LARGE))
    assert answer.state is OutputState.REFUSED
    assert "9000000" in answer.why
    for name in ("one", "two"):
        assert (await pusher.push(name, LARGE[:9_000_000])).state is OutputState.STORED
    assert "20000000" in (await pusher.offer(file_of("three", LARGE[:9_000_000])))[0].why
    answers = await pusher.pack({"small": b"1", "smaller": b""})
    assert [answer.state for answer in answers] == [OutputState.STORED, OutputState.REFUSED]
    assert "3 files" in answers[1].why


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "", "a//b", "a/./b", "a\x00b", "a\nb", "x/" + "y" * 256, "z" * 4097],
)
async def test_a_name_that_leads_elsewhere_ends_the_stream(running_one, pusher, name):
    with pytest.raises(AssertionError, match="name"):
        await pusher.offer(file_of(name, b"1"))
