"""Resources on the wire."""

from flow_contract.templates import GpuRequest, Resources
from flow_wire import templates_pb2


def encode_resources(resources: Resources) -> templates_pb2.Resources:
    """Contract to wire."""
    gpus = resources.gpus
    return templates_pb2.Resources(
        cpus=resources.cpus,
        memory_bytes=resources.memory_bytes,
        pids=resources.pids,
        shm_bytes=resources.shm_bytes,
        gpus=None
        if gpus is None
        else templates_pb2.GpuRequest(
            count=gpus.count, device_ids=gpus.device_ids, capabilities=gpus.capabilities
        ),
    )


def decode_resources(wire: templates_pb2.Resources) -> Resources:
    """Wire to contract."""
    return Resources(
        cpus=wire.cpus if wire.HasField("cpus") else None,
        memory_bytes=wire.memory_bytes if wire.HasField("memory_bytes") else None,
        pids=wire.pids if wire.HasField("pids") else None,
        shm_bytes=wire.shm_bytes if wire.HasField("shm_bytes") else None,
        gpus=_decode_gpus(wire.gpus) if wire.HasField("gpus") else None,
    )


def _decode_gpus(wire: templates_pb2.GpuRequest) -> GpuRequest:
    return GpuRequest(
        count=wire.count,
        device_ids=tuple(wire.device_ids),
        capabilities=tuple(wire.capabilities) or ("gpu",),
    )
