"""Contract types as the jsonb documents they are stored in, in pairs.

Old documents must stay readable: a field that came later reads as its default.
"""

from dataclasses import asdict
from typing import Any

from flow_contract.parties import Inventory
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData
from flow_contract.templates import (
    GpuRequest,
    Mount,
    Network,
    OnDisconnect,
    Resources,
    RetryPolicy,
    TemplateSpec,
)

Document = dict[str, Any]


def from_template_spec(spec: TemplateSpec) -> Document:
    """Contract to document."""
    return asdict(spec)


def to_template_spec(document: Document) -> TemplateSpec:
    """Document to contract."""
    hyper_parameter = document.get("hyper_parameter")
    return TemplateSpec(
        **{
            **document,
            "command": tuple(document["command"]),
            "hyper_parameter": None if hyper_parameter is None else tuple(hyper_parameter),
            "resources": _to_resources(document.get("resources", {})),
            "mounts": tuple(Mount(**mount) for mount in document.get("mounts", ())),
            "network": Network(document.get("network", Network.NONE)),
            "on_disconnect": OnDisconnect(**document.get("on_disconnect", {})),
            "retry": RetryPolicy(**document.get("retry", {})),
        }
    )


def _to_resources(document: Document) -> Resources:
    gpus = document.get("gpus")
    return Resources(
        **{
            **document,
            "gpus": None
            if gpus is None
            else GpuRequest(
                count=gpus["count"],
                device_ids=tuple(gpus["device_ids"]),
                capabilities=tuple(gpus["capabilities"]),
            ),
        }
    )


def from_snapshot(snapshot: Snapshot) -> Document:
    """Contract to document."""
    return asdict(snapshot)


def to_snapshot(document: Document) -> Snapshot:
    """Document to contract."""
    return Snapshot(
        **{
            **document,
            "template": to_template_spec(document["template"]),
            "hyper_parameter": tuple(document["hyper_parameter"]),
        }
    )


def from_federate_data(parties: tuple[PartyData, ...]) -> list[Document]:
    """Contract to document."""
    return [asdict(party) for party in parties]


def to_federate_data(documents: list[Document]) -> tuple[PartyData, ...]:
    """Document to contract."""
    return tuple(PartyData(**document) for document in documents)


def from_inventory(inventory: Inventory) -> Document:
    """Contract to document."""
    return asdict(inventory)


def to_inventory(document: Document) -> Inventory:
    """Document to contract."""
    return Inventory(
        **{
            **document,
            "gpu_ids": tuple(document.get("gpu_ids", ())),
            "data_names": tuple(document.get("data_names", ())),
        }
    )
