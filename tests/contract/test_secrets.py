import hashlib

import pytest

from flow_contract.secrets import (
    ID_BYTES,
    SECRET_BYTES,
    NotASecret,
    make_secret,
    read_api_token,
    read_enrolment,
    write_api_token,
    write_enrolment,
)

RANDOM = bytes(range(SECRET_BYTES + ID_BYTES))


def test_an_api_token_is_read_as_it_was_written():
    secret = make_secret(RANDOM)
    assert read_api_token(write_api_token(secret)) == secret


def test_white_space_around_a_token_is_no_part_of_it():
    secret = make_secret(RANDOM)
    assert read_api_token(f"  {write_api_token(secret)}\n") == secret


def test_an_enrolment_token_carries_what_the_server_is_known_by():
    secret = make_secret(RANDOM)
    read = read_enrolment(write_enrolment(secret, b"\x00certificate\xff"))
    assert (read.token_id, read.secret, read.ca_der) == (
        secret.token_id,
        secret.secret,
        b"\x00certificate\xff",
    )


def test_what_is_stored_is_the_hash_of_the_secret_half():
    secret = make_secret(RANDOM)
    assert secret.digest == hashlib.sha256(secret.secret.encode()).hexdigest()


def test_a_secret_shows_in_no_repr():
    secret = make_secret(RANDOM)
    enrolment = read_enrolment(write_enrolment(secret, b"certificate"))
    for shown in (repr(secret), str(secret), repr(enrolment)):
        assert secret.secret not in shown


@pytest.mark.parametrize("length", [0, SECRET_BYTES, SECRET_BYTES + ID_BYTES + 1])
def test_only_enough_randomness_makes_a_secret(length):
    with pytest.raises(ValueError, match="random bytes"):
        make_secret(bytes(length))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ff",
        "ff..",
        "ff.abc.def",
        "ffe." + "0" * 12 + "." + "A" * 43,
        "ff." + "0" * 12,
        "ü" * 60,
    ],
)
@pytest.mark.parametrize("read", [read_api_token, read_enrolment])
def test_what_is_no_token_is_refused_without_being_repeated(read, text):
    with pytest.raises(NotASecret) as raised:
        read(text)
    assert not text or len(text) < 4 or text not in str(raised.value)


def test_an_enrolment_token_that_was_cut_is_told_from_a_wrong_one():
    text = write_enrolment(make_secret(RANDOM), b"certificate")
    cut = text[: text.rindex(".") + 2]
    with pytest.raises(NotASecret, match="cut or changed"):
        read_enrolment(cut)
