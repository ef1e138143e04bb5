"""What is stored as a document can be read by code that is older or newer than its writer."""

from dataclasses import fields

import pytest

from flow_contract.coordination import Framework, PortRange
from flow_contract.parties import Inventory
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData
from flow_contract.templates import (
    Coordinator,
    GpuRequest,
    Mount,
    OnDisconnect,
    Resources,
    RetryPolicy,
    TemplateSpec,
)
from flow_server.storage import documents

# Written down here, because code of schema 0001 knows these and refuses any other.
_OF_THE_FIRST_RELEASE = {
    "name", "image_url", "workdir", "command", "remark", "hyper_parameter", "resources", "env",
    "mounts", "user", "network", "start_deadline_s", "prepare_deadline_s", "stop_grace_s",
}  # fmt: skip

_FULL = TemplateSpec(
    name="t",
    image_url="i",
    command=("a",),
    hyper_parameter=("h",),
    resources=Resources(cpus=1, gpus=GpuRequest(count=2)),
    mounts=(Mount(data_name="d", target="/d"),),
    run_timeout_s=5,
    on_disconnect=OnDisconnect(stop_after_s=3),
    retry=RetryPolicy(max_retries=4),
    coordinator=Coordinator(command=("c",), ports=(7,), resources=Resources(cpus=2), decides=True),
    mesh=(PortRange(first=1, last=2),),
    connect_timeout_s=6,
    framework=Framework.IFLEARNER,
)
_PAIRS = {
    "template": (_FULL, documents.from_template_spec, documents.to_template_spec),
    "snapshot": (
        Snapshot(
            template_id="t",
            template=_FULL,
            epochs=3,
            hyper_parameter=("h",),
            enable_smpc=True,
        ),
        documents.from_snapshot,
        documents.to_snapshot,
    ),
    "inventory": (
        Inventory(
            runtime="r", agent_version="1", gpu_ids=("a",), data_names=("d",), coordinates=True
        ),
        documents.from_inventory,
        documents.to_inventory,
    ),
    "federate_data": (
        (PartyData(federated_id="a", federated_data="d"),),
        documents.from_federate_data,
        documents.to_federate_data,
    ),
}


def _with_more(value):
    """The document as newer code would write it: one more field wherever there are fields."""
    if isinstance(value, dict):
        # An environment holds a user's own names, not fields of ours.
        more = {name: v if name == "env" else _with_more(v) for name, v in value.items()}
        return more | {"of_tomorrow": [1]}
    if isinstance(value, list | tuple):
        return [_with_more(item) for item in value]
    return value


@pytest.mark.parametrize("name", _PAIRS)
def test_a_document_of_newer_code_reads_as_what_is_known_of_it(name):
    value, write, read = _PAIRS[name]
    assert read(write(value)) == value
    assert read(_with_more(write(value))) == value


def test_a_template_that_asks_for_nothing_new_is_written_as_the_first_release_did():
    plain = TemplateSpec(name="t", image_url="i")
    assert set(documents.from_template_spec(plain)) == _OF_THE_FIRST_RELEASE
    snapshot = Snapshot(
        template_id="t", template=plain, epochs=1, hyper_parameter=(), enable_smpc=False
    )
    assert set(documents.from_snapshot(snapshot)["template"]) == _OF_THE_FIRST_RELEASE


def test_what_came_after_the_first_release_is_written_where_it_is_set():
    assert set(documents.from_template_spec(_FULL)) == {field.name for field in fields(_FULL)}
