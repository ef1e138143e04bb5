"""What the rooms' surfaces share: how a call is handed to the client's driver."""

from collections.abc import Callable
from typing import Generic, TypeVar

from flow_server_sdk.scripts import Call, Link, Script, perform

R = TypeVar("R")

Strings = list[str]


class Surface(Generic[R]):
    """The calls of one room; `run` carries a script out."""

    def __init__(self, run: Callable[[Script], R], link: Link) -> None:
        self._run = run
        self._link = link

    def _send(self, call: Call) -> R:
        return self._run(perform(call, self._link))
