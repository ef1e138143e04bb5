"""Blobs by key, in a directory or at a URL (s3://…): what is too large for a row.

A blob is there whole or not at all. Rows say which blobs count; a blob without one is rubbish.
What was put stays, whatever happens to the machine: a row may be written for it.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from flow_contract.errors import InvalidArgument, Kind, NotFound, Unavailable

_AT_ONCE = 500
_KNOWN_FOLDERS = 10_000

log = structlog.get_logger()


class Blobs:
    """A store of blobs. Keys have no leading slash; equal keys hold equal bytes."""

    def __init__(
        self, make_store: Callable[[], ObjectStore], *, folder: Path | None = None
    ) -> None:
        """Take the store; `folder` is where it keeps its files, None if that is not its way."""
        self._make_store = make_store
        self._folder = folder
        # Directories of whose own entries the disk is known to have a copy.
        self._lasting: set[Path] = set()

    @cached_property
    def _store(self) -> ObjectStore:
        # At the first use: a server that stores no blobs makes no directory.
        return self._make_store()

    async def put(self, key: str, data: bytes | memoryview) -> None:
        """Store a blob; one that is there already is replaced.

        Raises:
            Unavailable: it can't be stored now: no space, no answer.
        """
        await self.put_all([(key, data)])

    async def put_all(self, blobs: Sequence[tuple[str, bytes | memoryview]]) -> None:
        """Store blobs by key; those that are there already are replaced.

        Raises:
            Unavailable: not all can be stored now; some may be.
        """
        puts = [
            # What is put fits into one request.
            obstore.put_async(self._store, key, data, use_multipart=False)
            for key, data in blobs
        ]
        with _told():
            # All of them end before anybody is told that one failed.
            for outcome in await asyncio.gather(*puts, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
            if self._folder is not None:
                paths = [self._folder / key for key, _ in blobs]
                await asyncio.to_thread(self._make_last, paths)

    async def get(self, key: str) -> bytes:
        """Return a blob.

        Raises:
            NotFound: there is none.
            Unavailable: it can't be read now.
        """
        with _told():
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())

    async def get_range(self, key: str, start: int, size_bytes: int) -> bytes:
        """Return so many bytes of a blob from `start` on, fewer if it ends. Raises as `get`."""
        with _told():
            return bytes(
                await obstore.get_range_async(self._store, key, start=start, length=size_bytes)
            )

    async def stream(self, key: str, *, part_bytes: int = 1024 * 1024) -> AsyncIterator[bytes]:
        """Yield a blob in parts of about `part_bytes`. Raises as `get`."""
        with _told():
            found = await obstore.get_async(self._store, key)
            async for part in found.stream(min_chunk_size=part_bytes):
                yield bytes(part)

    async def delete(self, keys: list[str]) -> None:
        """Delete blobs; those that are not there are fine.

        Raises:
            Unavailable: not now.
        """
        for key in keys:
            with _told(), contextlib.suppress(NotFoundError, FileNotFoundError):
                await obstore.delete_async(self._store, key)

    async def delete_under(self, folder: str) -> int:
        """Delete all blobs whose keys begin with `folder/`; return how many there were.

        Raises:
            Unavailable: not now; some may be left.
        """
        deleted = 0
        # Anew each time: a directory that is walked must not change under the walk.
        while keys := await self._some_under(folder):
            await self.delete(keys)
            deleted += len(keys)
        return deleted

    def _make_last(self, paths: Sequence[Path]) -> None:
        """Return once files and names are on the disk itself: a power cut must not take them.

        Each folder is asked for once, however many of the files lie in it: that is what costs.
        """
        for path in paths:
            _sync(path)
        for folder in {path.parent for path in paths}:
            _sync(folder)
            self._make_folder_last(folder)

    def _make_folder_last(self, folder: Path) -> None:
        while folder != self._folder and folder not in self._lasting:
            if len(self._lasting) >= _KNOWN_FOLDERS:
                self._lasting.clear()
            self._lasting.add(folder)
            folder = folder.parent
            _sync(folder)

    async def _some_under(self, folder: str) -> list[str]:
        with _told():
            async for found in obstore.list(self._store, prefix=folder, chunk_size=_AT_ONCE):
                return [str(item["path"]) for item in found]
        return []


def open_blobs(url: str | None, folder: Path) -> Blobs:
    """Return the blobs at `url`, or those in `folder`, which is made when the first one comes.

    Raises:
        InvalidArgument: the URL can't be used.
    """
    if url is None:
        return Blobs(lambda: _folder_store(folder), folder=folder)
    try:
        store = from_url(url)
    except (BaseError, ValueError) as error:
        raise InvalidArgument(
            f"--blob-url: {url} can't be used for blobs: {_first_line(error)}", field="blob_url"
        ) from error
    return Blobs(lambda: store)


def _folder_store(folder: Path) -> ObjectStore:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def _sync(path: Path) -> None:
    place = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise NotFound("this blob is not there (any more)", kind=Kind.SERVER) from error
    except (BaseError, OSError) as error:
        # Not told to the caller: it names files of the server's machine.
        log.warning("blob_store_failed", error=_first_line(error))
        raise Unavailable(
            "the server's blob store can't do this now; try again", kind=Kind.SERVER
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
