"""Cleans the site up: what ended runs left, and nothing that anybody else made.

The journal says what is this agent's: directories and images that it does not name stay.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import structlog

from party_agent.clock import Clock
from party_agent.journal import Journal
from party_agent.logs_out.spools import Spools
from party_agent.outputs_out.spools import OutputSpools
from party_agent.runtime.port import Runtime, RuntimeUnavailable
from party_agent.settings import DEFAULT_KEEP_UNSENT_S, AgentSettings
from party_agent.tasks import first_of, for_ever
from party_agent.units import Units
from party_agent.workload_api.host import ApiHost

CLEAN_EVERY_S = 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Keep:
    """How long what ended stays: outputs by age and count, images by their last use.

    `images_s` 0 keeps images for ever. `unsent_s` is for logs and metrics that the server has
    never taken; what it has is removed at once.
    """

    outputs_s: int
    outputs_runs: int
    images_s: int
    unsent_s: int = DEFAULT_KEEP_UNSENT_S


def keep_of(settings: AgentSettings) -> Keep:
    """Return what the settings say."""
    return Keep(
        outputs_s=settings.keep_outputs_s,
        outputs_runs=settings.keep_outputs_runs,
        images_s=settings.keep_images_s,
        unsent_s=settings.keep_unsent_s,
    )


class Retention:
    """Cleans up at the start and once an hour. `outputs` is the directory of /output, or None.

    `uploads` knows the party runs whose outputs have to leave first; None if none have.
    """

    def __init__(
        self,
        *,
        keep: Keep,
        units: Units,
        runtime: Runtime,
        journal: Journal,
        clock: Clock,
        outputs: Path | None,
        spools: Spools | None = None,
        api: ApiHost | None = None,
        uploads: OutputSpools | None = None,
    ) -> None:
        self._keep = keep
        self._units = units
        self._runtime = runtime
        self._journal = journal
        self._clock = clock
        self._outputs = outputs
        self._spools = spools
        self._api = api
        self._uploads = uploads

    async def run(self) -> NoReturn:
        """Clean up until cancelled."""
        await first_of(self._note_pulls(), self._clean_for_ever())
        await for_ever()

    async def clean(self) -> None:
        """Clean up once; what fails is logged and left to the next time."""
        for step in (
            self._clean_outputs,
            self._clean_unsent,
            self._clean_images,
            self._runtime.tidy,
            self._units.end_strays,
        ):
            try:
                await step()
            except RuntimeUnavailable as error:
                log.warning("cleaning_put_off", step=step.__name__, error=str(error))
            except Exception:
                log.exception("cleaning_failed", step=step.__name__)

    async def _clean_for_ever(self) -> None:
        while True:
            await self.clean()
            await self._clock.sleep(CLEAN_EVERY_S)

    async def _note_pulls(self) -> None:
        async for image in self._runtime.pulls():
            try:
                await self._journal.note_pull(image, self._clock.now())
            except sqlite3.Error as error:
                # It stays for ever then, which is the harmless side.
                log.warning("pull_not_noted", image=image.reference, error=str(error))
        await for_ever()

    async def _clean_outputs(self) -> None:
        noted = await self._journal.outputs()
        there = await asyncio.to_thread(_names, self._outputs)
        # Many runs never had an output: only what there is counts.
        for party_run_id, _ in noted:
            if party_run_id not in there:
                await self._journal.forget_output(party_run_id)
        kept = [(name, ended_at) for name, ended_at in noted if name in there]
        unsent = (
            set() if self._uploads is None else set(await asyncio.to_thread(self._uploads.names))
        )
        for party_run_id in self._surplus(kept):
            if party_run_id in unsent:
                continue
            await self._remove_output(party_run_id)

    def _surplus(self, newest_first: Iterable[tuple[str, datetime]]) -> list[str]:
        oldest = self._clock.now() - timedelta(seconds=self._keep.outputs_s)
        return [
            party_run_id
            for number, (party_run_id, ended_at) in enumerate(newest_first)
            if number >= self._keep.outputs_runs or ended_at <= oldest
        ]

    async def _remove_output(self, party_run_id: str) -> None:
        if self._outputs is None or party_run_id in self._units.party_run_ids:
            return
        try:
            await asyncio.to_thread(shutil.rmtree, self._outputs / party_run_id)
        except OSError as error:
            # A container may have left files that only root may remove.
            log.warning("output_not_removed", party_run_id=party_run_id, error=str(error))
            return
        await self._journal.forget_output(party_run_id)
        log.info("output_removed", party_run_id=party_run_id)

    async def _clean_unsent(self) -> None:
        before = self._clock.now() - timedelta(seconds=self._keep.unsent_s)
        if self._spools is not None:
            held = frozenset(self._units.party_run_ids)
            for party_run_id in await asyncio.to_thread(self._spools.remove_old, before, held):
                log.warning("log_given_up", party_run_id=party_run_id)
        if self._api is not None:
            for party_run_id in await self._api.give_up_old(before):
                log.warning("metrics_given_up", party_run_id=party_run_id)

    async def _clean_images(self) -> None:
        if not self._keep.images_s:
            return
        needed = {unit.spec.image_url for unit in self._units.held if not unit.removed}
        now = self._clock.now()
        for image, used_at in await self._journal.images():
            if image.reference in needed:
                await self._journal.note_use(image.reference, now)
            elif used_at + timedelta(seconds=self._keep.images_s) > now:
                continue
            elif await self._runtime.remove_image(image):
                await self._journal.forget_image(image.reference)
                log.info("image_removed", image=image.reference)
            else:
                await self._journal.note_use(image.reference, now)


def _names(folder: Path | None) -> frozenset[str]:
    if folder is None or not folder.is_dir():
        return frozenset()
    return frozenset(path.name for path in folder.iterdir())
