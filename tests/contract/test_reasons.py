"""Reason codes and their sentences."""

import pytest

from flow_contract.reasons import SENTENCES, Reason, sentence

# Nothing went wrong: a wait ends by itself, and the end is what was asked for.
NOTHING_TO_DO = {
    Reason.NONE,
    Reason.WAITING_FOR_CONNECTION,
    Reason.WAITING_FOR_GPU,
    Reason.PULLING_IMAGE,
    Reason.WAITING_FOR_COORDINATOR,
    Reason.PARTIES_ENDED,
    Reason.COORDINATOR_ENDED,
    Reason.COMPLETED,
    Reason.STOPPED_BY_USER,
}
WHAT_TO_DO = (
    "ask",
    "check",
    "choose",
    "look",
    "raise",
    "read",
    "see",
    "start",
    "try",
    "use",
    "wait",
)


def test_every_reason_has_a_sentence():
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.NONE}))
def test_a_sentence_is_one_sentence(reason):
    text = SENTENCES[reason]
    assert text[0].isupper()
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


@pytest.mark.parametrize("reason", sorted(set(Reason) - NOTHING_TO_DO))
def test_the_sentence_of_an_end_that_nobody_wanted_says_what_to_do(reason):
    happened, _, advice = SENTENCES[reason].rpartition("; ")
    assert happened
    assert advice.split()[0] in WHAT_TO_DO


def test_no_two_reasons_read_alike():
    assert len(set(SENTENCES.values())) == len(SENTENCES)


def test_the_sites_own_detail_stands_in_front():
    assert (
        sentence(Reason.POLICY_DENIED, "Rule 'images' does not list alpine")
        == f"Rule 'images' does not list alpine. {SENTENCES[Reason.POLICY_DENIED]}"
    )
    assert sentence(Reason.COMPLETED, "Done.") == f"Done. {SENTENCES[Reason.COMPLETED]}"


def test_without_a_detail_the_sentence_stands_alone():
    assert sentence(Reason.OOM_KILLED) == SENTENCES[Reason.OOM_KILLED]
    assert sentence(Reason.NONE) == ""
    assert sentence(Reason.NONE, "Ready") == "Ready."
