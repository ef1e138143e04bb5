"""What the image verbs mean to a runtime that has no images."""

from collections.abc import AsyncIterator

from party_agent.runtime.port import PulledImage
from party_agent.runtime.told import Told


class WithoutImages:
    """Nothing is ever pulled, and everything is gone already."""

    def __init__(self) -> None:
        self._pulls = Told[PulledImage]()

    def pulls(self) -> AsyncIterator[PulledImage]:
        """Yield nothing until the runtime is closed."""
        return self._pulls.stream()

    async def remove_image(self, image: PulledImage) -> bool:  # noqa: ARG002 - there are none
        """Say that it is gone."""
        return True
