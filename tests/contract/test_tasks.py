"""What may stand in a task and in a start."""

from dataclasses import replace

import pytest

from flow_contract.errors import EmptyName, InvalidArgument, ret_code
from flow_contract.tasks import (
    MAX_PARTIES,
    PartyData,
    StartParameters,
    TaskSpec,
    check_start,
    check_task,
)

PLAIN = TaskSpec(
    name="digits",
    template_id="20f42769b99b492691da1ba2f236b1",
    federate_data=(PartyData(federated_id="federate-1"),),
)


def refused(**changes):
    with pytest.raises(InvalidArgument) as raised:
        check_task(replace(PLAIN, **changes))
    assert len(raised.value.message) < 2048
    return raised.value


def accepted(**changes):
    check_task(replace(PLAIN, **changes))


@pytest.mark.parametrize("name", ["", "   "])
def test_an_empty_name_has_a_number_of_its_own(name):
    error = refused(name=name)
    assert isinstance(error, EmptyName)
    assert ret_code(error) == 10302


@pytest.mark.parametrize("length", [2, 51])
def test_a_name_of_2_or_51_characters_is_refused(length):
    error = refused(name="n" * length)
    assert error.field == "name"
    assert ret_code(error) == 10000


@pytest.mark.parametrize("length", [3, 50])
def test_a_name_of_3_to_50_characters_is_accepted(length):
    accepted(name="n" * length)


@pytest.mark.parametrize("field", ["name", "template_id", "remark"])
def test_a_null_byte_is_refused(field):
    assert refused(**{field: "abc\x00"}).field == field


def test_a_remark_may_be_left_out_but_not_be_a_megabyte():
    accepted(remark=None)
    accepted(remark="")
    assert refused(remark="r" * 1024**2).field == "remark"


def test_a_task_without_parties_can_be_stored():
    accepted(federate_data=())


@pytest.mark.parametrize("federated_id", ["", "a b", "\x00", "x" * 64, "a\ud800", "x" * 100_000])
def test_what_is_no_party_id_is_refused_with_its_position(federated_id):
    parties = (PartyData(federated_id="ok"), PartyData(federated_id=federated_id))
    error = refused(federate_data=parties)
    assert error.field == "federate_data[1].federated_id"
    assert error.message.encode()


def test_a_party_named_twice_is_refused():
    parties = (PartyData(federated_id="a"), PartyData(federated_id="a", federated_data="b"))
    assert refused(federate_data=parties).field == "federate_data[1].federated_id"


@pytest.mark.parametrize("federated_data", ["\x00", "x" * 4097])
def test_data_that_can_not_be_stored_is_refused(federated_data):
    parties = (PartyData(federated_id="a", federated_data=federated_data),)
    assert refused(federate_data=parties).field == "federate_data[0].federated_data"


def test_ten_thousand_parties_are_accepted_and_no_more():
    parties = tuple(PartyData(federated_id=f"p{n}") for n in range(MAX_PARTIES + 1))
    accepted(federate_data=parties[:-1])
    assert refused(federate_data=parties).field == "federate_data"


def test_a_start_needs_no_parameters():
    check_start(StartParameters())
    assert StartParameters() == StartParameters(epochs=10, hyper_parameter=None, enable_smpc=False)


@pytest.mark.parametrize("epochs", [0, 1, 10**9])
def test_epochs_from_0_to_a_milliard_are_accepted(epochs):
    check_start(StartParameters(epochs=epochs))


@pytest.mark.parametrize("epochs", [-1, 10**9 + 1])
def test_other_epochs_are_refused(epochs):
    with pytest.raises(InvalidArgument) as raised:
        check_start(StartParameters(epochs=epochs))
    assert raised.value.field == "epochs"


def test_a_null_byte_in_a_hyper_parameter_is_refused():
    with pytest.raises(InvalidArgument) as raised:
        check_start(StartParameters(hyper_parameter=("a", "\x00")))
    assert raised.value.field == "hyper_parameter[1]"
