"""Contract types as the jsonb documents they are stored in, in pairs.

Replicas of two versions read each other's documents while a federation is upgraded. A field that
a document lacks reads as its default, one that this code doesn't know is left out, and what came
after the first release is written only where it says something.
"""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from flow_contract.coordination import Ends, Framework, PeerProgress, PortRange, Traffic
from flow_contract.parties import Inventory
from flow_contract.runs import Snapshot
from flow_contract.tasks import PartyData
from flow_contract.templates import (
    Coordinator,
    GpuRequest,
    Mount,
    Network,
    OnDisconnect,
    Resources,
    RetryPolicy,
    TemplateSpec,
)

Document = dict[str, Any]

# Code of schema 0001 refuses a document that has them.
_CAME_LATER = (
    *("run_timeout_s", "on_disconnect", "retry"),
    *("coordinator", "mesh", "connect_timeout_s", "framework"),
)
_INVENTORY_CAME_LATER = ("coordinates", "direct_address")
_DEFAULTS = asdict(TemplateSpec(name="", image_url=""))


def from_template_spec(spec: TemplateSpec) -> Document:
    """Contract to document."""
    document = asdict(spec)
    for name in _CAME_LATER:
        if document[name] == _DEFAULTS[name]:
            del document[name]
    return document


def to_template_spec(document: Document) -> TemplateSpec:
    """Document to contract."""
    hyper_parameter = document.get("hyper_parameter")
    return TemplateSpec(
        **{
            **_known(TemplateSpec, document),
            "command": tuple(document["command"]),
            "hyper_parameter": None if hyper_parameter is None else tuple(hyper_parameter),
            "resources": _to_resources(document.get("resources", {})),
            "mounts": tuple(Mount(**_known(Mount, mount)) for mount in document.get("mounts", ())),
            "network": Network(document.get("network", Network.NONE)),
            "on_disconnect": OnDisconnect(
                **_known(OnDisconnect, document.get("on_disconnect", {}))
            ),
            "retry": to_retry_policy(document.get("retry")),
            "coordinator": _to_coordinator(document.get("coordinator")),
            "mesh": tuple(
                PortRange(**_known(PortRange, ports)) for ports in document.get("mesh", ())
            ),
            "framework": Framework(document.get("framework", Framework.NONE)),
        }
    )


def to_retry_policy(document: Document | None) -> RetryPolicy:
    """Document to contract; runs that were stored before there were retries have none."""
    return RetryPolicy(**_known(RetryPolicy, document or {}))


def _to_coordinator(document: Document | None) -> Coordinator | None:
    if document is None:
        return None
    return Coordinator(
        **{
            **_known(Coordinator, document),
            "command": tuple(document.get("command", ())),
            "resources": _to_resources(document.get("resources", {})),
            "ports": tuple(document.get("ports", ())),
            "ends": Ends(document.get("ends", Ends.AFTER_PARTIES)),
        }
    )


def _known(kind: type[Any], document: Document) -> Document:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in document.items() if name in names}


def _to_resources(document: Document) -> Resources:
    gpus = document.get("gpus")
    return Resources(
        **{
            **_known(Resources, document),
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
    return {**asdict(snapshot), "template": from_template_spec(snapshot.template)}


def to_snapshot(document: Document) -> Snapshot:
    """Document to contract."""
    return Snapshot(
        **{
            **_known(Snapshot, document),
            "template": to_template_spec(document["template"]),
            "hyper_parameter": tuple(document["hyper_parameter"]),
        }
    )


def from_federate_data(parties: tuple[PartyData, ...]) -> list[Document]:
    """Contract to document."""
    return [asdict(party) for party in parties]


def to_federate_data(documents: list[Document]) -> tuple[PartyData, ...]:
    """Document to contract."""
    return tuple(PartyData(**_known(PartyData, document)) for document in documents)


def to_traffic(documents: Iterable[Document]) -> tuple[Traffic, ...]:
    """Documents to contract."""
    return tuple(Traffic(**_known(Traffic, document)) for document in documents)


def to_peer_progress(documents: Iterable[Document]) -> tuple[PeerProgress, ...]:
    """Documents to contract."""
    return tuple(PeerProgress(**_known(PeerProgress, document)) for document in documents)


def from_inventory(inventory: Inventory) -> Document:
    """Contract to document."""
    document = asdict(inventory)
    return {
        name: value
        for name, value in document.items()
        if value or name not in _INVENTORY_CAME_LATER
    }


def to_inventory(document: Document) -> Inventory:
    """Document to contract."""
    return Inventory(
        **{
            **_known(Inventory, document),
            "gpu_ids": tuple(document.get("gpu_ids", ())),
            "data_names": tuple(document.get("data_names", ())),
        }
    )
