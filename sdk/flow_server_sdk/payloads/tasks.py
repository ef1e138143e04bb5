"""Arguments of task calls as contract types."""

from collections.abc import Callable
from typing import Any

from flow_contract.errors import InvalidArgument
from flow_contract.tasks import DEFAULT_EPOCHS, PartyData, StartParameters, TaskSpec
from flow_server_sdk.payloads import forms

# What gRPC can't count any more is not worth an error.
_AS_GOOD_AS_FOR_EVER_S = 10**8

_PARTY_DATA = ("federated_id", "federated_data")


def task_spec(
    *, name: object, template_id: object, remark: object, federate_data: object
) -> TaskSpec:
    """Return what the arguments say.

    Raises:
        InvalidArgument: names the first argument of the wrong form.
    """
    return TaskSpec(
        name=forms.text("name", name),
        template_id=forms.text("template_id", template_id),
        remark=None if remark is None else forms.text("remark", remark),
        federate_data=tuple(
            PartyData(
                federated_id=forms.needed(place, party, "federated_id"),
                federated_data=forms.text(
                    f"{place}.federated_data", party.get("federated_data", "")
                ),
            )
            for place, party in forms.records("federate_data", federate_data, _PARTY_DATA)
        ),
    )


def start_parameters(
    *, epochs: object, hyper_parameter: object, enable_smpc: object
) -> StartParameters:
    """Return what the arguments say; None means the default.

    Raises:
        InvalidArgument: names the first argument of the wrong form.
    """
    return StartParameters(
        epochs=DEFAULT_EPOCHS if epochs is None else forms.integer("epochs", epochs),
        hyper_parameter=forms.texts_or_none("hyper_parameter", hyper_parameter),
        enable_smpc=forms.boolean("enable_smpc", enable_smpc),
    )


def wait_timeout_s(value: object) -> float | None:
    """Return seconds of 0 or more, None for no limit.

    Raises:
        InvalidArgument: it is neither.
    """
    if value is None:
        return None
    seconds = forms.real("timeout_s", value)
    if not seconds >= 0:
        raise InvalidArgument("timeout_s: give seconds, 0 or more, or None", field="timeout_s")
    return None if seconds > _AS_GOOD_AS_FOR_EVER_S else seconds


def listener(value: object) -> Callable[[dict[str, Any]], object] | None:
    """Return what can be called, or None.

    Raises:
        InvalidArgument: it can't be called.
    """
    if value is not None and not callable(value):
        raise forms.refusal("on_change", value, "a function of one dict, or None")
    return value
