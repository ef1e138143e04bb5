"""The images that workloads need: there, pulled, or removed when nobody needs them any more."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flow_contract.reasons import Reason
from party_agent.runtime.docker_engine import refusals, translate
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.keyed import KeyedWork
from party_agent.runtime.docker_engine.pulls import PullProgress
from party_agent.runtime.port import Progress, PulledImage


class Images:
    """One engine's images, as far as one agent is concerned with them.

    `pulled` is told of each image that this agent brought to the engine. Invariant: an image is
    never removed between the moment a `needed` one was found and the end of the need.
    """

    def __init__(
        self, engine: Engine, work: KeyedWork, *, pulled: Callable[[PulledImage], None]
    ) -> None:
        self._engine = engine
        self._work = work
        self._pulled = pulled
        self._needs: Counter[str] = Counter()

    @contextmanager
    def needed(self, image_url: str) -> Iterator[None]:
        """Keep the image from being removed."""
        key = translate.image_key(image_url)
        self._needs[key] += 1
        try:
            yield
        finally:
            self._needs[key] -= 1
            if not self._needs[key]:
                del self._needs[key]

    async def present(self, image_url: str, progress: Progress) -> Json:
        """Return the inspected image, pulled if need be; call it with the image `needed`.

        Raises:
            RuntimeRefused: neither engine nor registry has it.
        """
        # A removal that began before the need did.
        await self._work.settled(translate.image_key(image_url))
        try:
            image = await self._engine.image(image_url)
            if image is not None:
                return image
            await self._pull(image_url, progress)
            image = await self._engine.image(image_url)
        except EngineError as error:
            raise refusals.of_pull(image_url, error) from error
        if image is None:
            raise refusals.image_missing(image_url)
        self._pulled(PulledImage(reference=image_url, image_id=str(image["Id"])))
        return image

    async def remove(self, image: PulledImage) -> bool:
        """See `Runtime.remove_image`."""
        return await self._work.run(
            translate.image_key(image.reference), lambda: self._removed(image)
        )

    async def _pull(self, image_url: str, progress: Progress) -> None:
        pull = PullProgress(image_url)
        progress(Reason.PULLING_IMAGE, pull.text)

        def told(message: Json) -> None:
            if pull.tell(message):
                progress(Reason.PULLING_IMAGE, pull.text)

        await self._engine.pull(image_url, told)

    async def _removed(self, image: PulledImage) -> bool:
        if translate.image_key(image.reference) in self._needs:
            return False
        found = await self._engine.image(image.reference)
        if found is None or found["Id"] != image.image_id:
            # Somebody removed it, or gave its name to an image of their own.
            return True
        if await self._engine.has_containers(image.image_id):
            return False
        try:
            await self._engine.remove_image(image.reference)
        except EngineError as error:
            if error.conflict:
                return False
            if not error.not_there:
                raise
        return True
