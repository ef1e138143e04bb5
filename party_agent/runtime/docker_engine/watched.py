"""The engine's client, each of its calls told to a watch under its own name."""

from collections.abc import Callable
from typing import Any, TypeVar

from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.watch import CallWatch

T = TypeVar("T")


class WatchedEngine(Engine):
    """An `Engine`; see there for each call."""

    def __init__(self, watch: CallWatch, *, base_url: str | None, call_timeout_s: float) -> None:
        super().__init__(base_url=base_url, call_timeout_s=call_timeout_s)
        self._watch = watch

    async def info(self) -> Json:
        """See `Engine.info`."""
        with self._watch("info"):
            return await super().info()

    async def image(self, reference: str) -> Json | None:
        """See `Engine.image`."""
        with self._watch("image"):
            return await super().image(reference)

    async def remove_image(self, reference: str) -> None:
        """See `Engine.remove_image`."""
        with self._watch("remove_image"):
            await super().remove_image(reference)

    async def pull(self, reference: str, told: Callable[[Json], None]) -> None:
        """See `Engine.pull`."""
        with self._watch("pull"):
            await super().pull(reference, told)

    async def create(self, name: str, body: Json) -> str:
        """See `Engine.create`."""
        with self._watch("create"):
            return await super().create(name, body)

    async def start(self, container: str) -> None:
        """See `Engine.start`."""
        with self._watch("start"):
            await super().start(container)

    async def stop(self, container: str, grace_s: float) -> None:
        """See `Engine.stop`."""
        with self._watch("stop"):
            await super().stop(container, grace_s)

    async def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        with self._watch("remove"):
            await super().remove(container)

    async def inspect(self, container: str) -> Json | None:
        """See `Engine.inspect`."""
        with self._watch("inspect"):
            return await super().inspect(container)

    async def ids(self, labels: dict[str, str]) -> list[str]:
        """See `Engine.ids`."""
        with self._watch("list"):
            return await super().ids(labels)

    async def file_mode(self, container: str, path: str) -> int | None:
        """See `Engine.file_mode`."""
        with self._watch("file_mode"):
            return await super().file_mode(container, path)

    async def text(self, container: str, path: str) -> str:
        """See `Engine.text`."""
        with self._watch("text"):
            return await super().text(container, path)

    async def stream(self, begin: Callable[[Any], T]) -> T:
        """See `Engine.stream`: the time is until it begins."""
        with self._watch("stream"):
            return await super().stream(begin)
