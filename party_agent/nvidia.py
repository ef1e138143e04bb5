"""The GPUs that the NVIDIA driver sees, by UUID; none where there is no driver."""

import structlog

from party_agent.gpus import GpuInventory

log = structlog.get_logger()


def detect() -> GpuInventory:
    """Return the machine's GPUs; a missing driver or package is a machine without GPUs."""
    try:
        import pynvml  # noqa: PLC0415  only agents with GPUs need the package
    except ImportError:
        return GpuInventory()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.debug("gpus_not_detected", error=str(error))
        return GpuInventory()
    try:
        uuids = [
            str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index)))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError as error:
        log.warning("gpus_not_listed", error=str(error))
        return GpuInventory()
    finally:
        pynvml.nvmlShutdown()
    return GpuInventory(
        ids=tuple(uuids), aliases={str(index): uuid for index, uuid in enumerate(uuids)}
    )


def inventory(named: tuple[str, ...]) -> GpuInventory:
    """Return the GPUs to use: those that the site named, else those that the driver sees."""
    detected = detect()
    if not named:
        return detected
    ids = tuple(detected.aliases.get(name, name) for name in named)
    if detected.ids and (unknown := sorted(set(ids) - set(detected.ids))):
        log.warning("gpus_named_but_not_detected", gpu_ids=unknown)
    return GpuInventory(
        ids=ids, aliases={alias: gpu for alias, gpu in detected.aliases.items() if gpu in ids}
    )
