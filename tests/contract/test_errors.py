"""The error catalogue and its numbers."""

import http

import grpc
import pytest

from flow_contract import errors
from flow_contract.errors import (
    BY_CODE,
    CATALOGUE,
    RET_INVALID_PARAM,
    FlowError,
    Kind,
    ret_code,
)


def family(base):
    """Every class below `base`."""
    return {child for direct in base.__subclasses__() for child in ({direct} | family(direct))}


def test_the_catalogue_holds_every_class():
    assert set(CATALOGUE) == family(FlowError)


def test_every_class_has_a_code_of_its_own():
    assert len(BY_CODE) == len(CATALOGUE)
    assert {BY_CODE[error.code] for error in CATALOGUE} == set(CATALOGUE)
    assert all(code and code == code.upper() for code in BY_CODE)


@pytest.mark.parametrize("error", CATALOGUE)
def test_every_class_has_statuses_that_exist(error):
    assert grpc.StatusCode[CATALOGUE[error].grpc] is not grpc.StatusCode.OK
    assert http.HTTPStatus(CATALOGUE[error].http) >= http.HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("error", CATALOGUE)
def test_every_class_says_what_it_means(error):
    assert error.__doc__
    assert error.__name__ in errors.__doc__


def test_the_base_itself_can_not_be_raised():
    with pytest.raises(TypeError, match="catalogue"):
        raise FlowError("anything")


@pytest.mark.parametrize("error", CATALOGUE)
def test_an_error_keeps_what_it_is_about(error):
    raised = error("what happened", kind=Kind.TASK, subject_id="t1", field="name")
    assert str(raised) == raised.message == "what happened"
    assert (raised.kind, raised.subject_id, raised.field) == (Kind.TASK, "t1", "name")


def test_only_what_may_work_later_is_retryable():
    retryable = {error for error in CATALOGUE if error.retryable}
    assert retryable == {errors.Exhausted, errors.Unavailable}


@pytest.mark.parametrize(
    ("error", "kind", "number"),
    [
        (errors.InvalidArgument, Kind.TEMPLATE, 10000),
        (errors.InvalidArgument, Kind.TASK, 10000),
        (errors.InvalidArgument, Kind.REQUEST, 10000),
        (errors.TooLarge, Kind.REQUEST, 10000),
        (errors.EmptyName, Kind.TEMPLATE, 10000),
        (errors.NotFound, Kind.TEMPLATE, 10200),
        (errors.AlreadyExists, Kind.TEMPLATE, 10201),
        (errors.NotFound, Kind.TASK, 10300),
        (errors.AlreadyExists, Kind.TASK, 10301),
        (errors.EmptyName, Kind.TASK, 10302),
        (errors.Conflict, Kind.TASK, 10303),
        (errors.NotFound, Kind.PARTY, 10304),
        (errors.PartyUnavailable, Kind.PARTY, 10304),
        (errors.NotFound, Kind.RUN, 10400),
        (errors.NotFound, Kind.USER, 10500),
        (errors.AlreadyExists, Kind.USER, 10501),
        (errors.Conflict, Kind.USER, 10502),
        (errors.NotFound, Kind.TOKEN, 10510),
        (errors.Conflict, Kind.TOKEN, 10511),
    ],
)
def test_what_a_user_can_cause_has_the_number_that_users_know(error, kind, number):
    assert ret_code(error("x", kind=kind)) == number


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "error",
    [
        errors.Unauthenticated,
        errors.Forbidden,
        errors.StaleLease,
        errors.Exhausted,
        errors.RuntimeFailed,
        errors.Unavailable,
        errors.Internal,
    ],
)
def test_what_a_user_can_not_cause_has_no_number_and_is_raised(error, kind):
    assert ret_code(error("x", kind=kind)) is None


def test_the_number_of_success_is_the_number_of_no_error():
    every = {ret_code(error("x", kind=kind)) for error in CATALOGUE for kind in Kind}
    assert errors.RET_SUCCESS == 0
    assert 0 not in every
    assert RET_INVALID_PARAM in every
