"""A site that is cleaned up: outputs on disk, images in an engine, retention over both."""

import asyncio

from flow_contract.lifecycle import PartyRunState
from party_agent.logs_out.spools import Spools
from party_agent.outputs_out.caps import SiteCaps
from party_agent.outputs_out.spools import OutputSpools
from party_agent.retention import Keep, Retention
from party_agent.runtime.told import Told
from party_agent.workload_api.host import ApiHost
from tests.agent.place import Place

S = PartyRunState


class ImageEngine:
    """A memory runtime that also has images; `in_use` are those with containers of anybody."""

    def __init__(self, memory):
        self._memory = memory
        self.images = {}
        self.in_use = set()
        self.told = Told()
        self.tidied = 0
        self.failure = None

    def __getattr__(self, name):
        return getattr(self._memory, name)

    def pull(self, image):
        self.images[image.reference] = image.image_id
        self.told.put(image)

    def pulls(self):
        return self.told.stream()

    async def remove_image(self, image):
        if self.images.get(image.reference) != image.image_id:
            return True
        if image.reference in self.in_use:
            return False
        del self.images[image.reference]
        return True

    async def tidy(self):
        self.tidied += 1
        if self.failure is not None:
            raise self.failure


class Cleaned(Place):
    """A site with outputs, images and retention."""

    def __init__(self, path, **keep):
        super().__init__(path / "state", runtime=ImageEngine)
        self.outputs = path / "outputs"
        self.outputs.mkdir()
        self.spools = Spools(path / "logs", bytes_per_run=10**6, bytes_of_site=10**6)
        self.api = ApiHost(path, self.clock.now)
        caps = SiteCaps(file_bytes=1, run_bytes=1, run_files=1, waiting_bytes=1)
        self.uploads = OutputSpools(path / "uploads", caps)
        self.keep = Keep(**{"outputs_s": 10**9, "outputs_runs": 1000, "images_s": 0, **keep})

    async def open(self, **options):
        await super().open(**options)
        self.retention = Retention(
            keep=self.keep,
            units=self.units,
            runtime=self.runtime,
            journal=self.journal,
            clock=self.clock,
            outputs=self.outputs,
            spools=self.spools,
            api=self.api,
            uploads=self.uploads,
        )
        self.noting = asyncio.create_task(self.retention._note_pulls())
        return self

    async def close(self):
        self.noting.cancel()
        await asyncio.gather(self.noting, return_exceptions=True)
        await super().close()

    async def run(self, party_run_id, *, has_output=True, **changes):
        """Let a run begin and end, a second after the last."""
        if has_output:
            (self.outputs / party_run_id).mkdir()
            (self.outputs / party_run_id / "model").write_text("weights")
        self.assign(party_run_id, command=("exit", "0"), **changes)
        await self.ear.until(S.SUCCEEDED, party_run_id)
        await self.until_gone(party_run_id)
        self.clock.advance(1)

    async def pull(self, image):
        self.runtime.pull(image)

        async def noted():
            return [each for each, _ in await self.journal.images()]

        while image not in await noted():  # noqa: ASYNC110  a journal gives no event
            await asyncio.sleep(0)

    def left(self):
        return sorted(path.name for path in self.outputs.iterdir())
