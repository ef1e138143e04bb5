"""FlowServerSdk and AsyncFlowServerSdk: the client of a flow server.

The names are imported when asked for: `fedflow --help`, which lives below this package, must
not pay for gRPC.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow_server_sdk.client import AsyncFlowServerSdk, FlowServerSdk

__all__ = ["AsyncFlowServerSdk", "FlowServerSdk"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'flow_server_sdk' has no attribute {name!r}")
    from flow_server_sdk import client  # noqa: PLC0415 - late on purpose, see above

    return getattr(client, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
