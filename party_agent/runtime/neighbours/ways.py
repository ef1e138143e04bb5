"""How an agent comes by sockets in a sandbox, as its site decides."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DEFAULT_SIDECAR_IMAGE = "python:3.11-slim"


class Way(StrEnum):
    """The agent enters the sandbox's network namespace, or a container beside the workload does.

    AUTO enters where it can: as root, on the engine's own machine.
    """

    AUTO = "auto"
    NAMESPACE = "namespace"
    SIDECAR = "sidecar"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """A site's choice. `sidecar_image` has `python3`, 3.8 or newer, on its PATH.

    `folder` is where a sidecar's directory is made, on a file system that the engine sees too;
    None: there is no such place, and no sidecar.
    """

    way: Way = Way.AUTO
    sidecar_image: str = DEFAULT_SIDECAR_IMAGE
    folder: Path | None = None
