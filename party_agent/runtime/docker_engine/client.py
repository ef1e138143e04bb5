"""Bare calls to the engine; the only importer of docker.

Two clients: one whose calls are bounded by a time-out, and one that only waits (events).
docker-py blocks, so calls run in threads: short ones in one pool, those that wait for a
workload or a registry in another, so that many slow stops can't hold up a start.

Every call raises `EngineError` if the engine answered with an error, and
`RuntimeUnavailable` if it did not answer.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag

from party_agent.runtime.docker_engine import addresses
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.feed import EventFeed
from party_agent.runtime.docker_engine.files import path_stat, small_text
from party_agent.runtime.docker_engine.threads import CALL_THREADS, WAIT_THREADS, Threads
from party_agent.runtime.docker_engine.translate import engine_time
from party_agent.runtime.port import RuntimeUnavailable, RuntimeUnusable

T = TypeVar("T")
Json = dict[str, Any]

_HTTP_SERVER_ERROR = 500


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        status = error.status_code or _HTTP_SERVER_ERROR
        raise EngineError(status, (error.explanation or str(error)).strip()) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise RuntimeUnavailable(f"the container engine does not answer: {error}") from error
    except DockerException as error:
        raise RuntimeUnusable(f"the container engine can't be used: {error}") from error


class Engine:
    """One engine. `base_url` None means the environment's, as for the docker command."""

    def __init__(self, *, base_url: str | None, call_timeout_s: float) -> None:
        self._base_url = base_url
        self._timeout_s = math.ceil(call_timeout_s)
        self._threads = Threads()
        self._bounded: docker.APIClient | None = None
        self._waiting: docker.APIClient | None = None

    async def open(self) -> None:
        """Connect. Raises RuntimeUnavailable if nothing answers, leaving nothing open."""
        self._threads.open()
        try:
            self._bounded = await self._threads.call(lambda: self._connect(self._timeout_s))
            self._waiting = await self._threads.call(lambda: self._connect(None))
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Let short calls end and disconnect. May be called twice, or without `open`."""
        await self._threads.aclose()
        for client in (self._bounded, self._waiting):
            if client is not None:
                client.close()
        self._bounded = self._waiting = None

    async def architecture(self) -> str:
        """Return the engine's name of its processor architecture."""
        return str((await self._call(lambda client: client.version()))["Arch"])

    async def info(self) -> Json:
        """Return what the engine says of itself."""
        found: Json = await self._call(lambda client: client.info())
        return found

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where on this machine the engine may be spoken to."""
        return addresses.sockets(self._environment().get("base_url", addresses.DEFAULT_URL))

    async def now(self) -> str:
        """Return the engine's own time in the form in which it takes times: seconds, UTC."""
        now = engine_time((await self.info())["SystemTime"])
        if now is None:
            raise RuntimeUnavailable("the container engine has no clock")
        return f"{now.timestamp():.6f}"

    async def image(self, reference: str) -> Json | None:
        """Return an image that is present, None if it is not."""
        return await self._or_none(lambda client: client.inspect_image(reference))

    async def has_containers(self, image_id: str) -> bool:
        """Say whether any container, whoever's and ended ones too, was made from the image."""
        filters = {"ancestor": [image_id]}
        return bool(await self._call(lambda client: client.containers(all=True, filters=filters)))

    async def remove_image(self, reference: str) -> None:
        """Take the name off an image; one that has no other name left is removed with it."""
        await self._call(lambda client: client.remove_image(reference, noprune=True))

    async def import_image(self, archive: bytes, *, repository: str, tag: str) -> None:
        """Make an image from a tar of its root file system."""
        await self._call(
            lambda client: client.import_image_from_data(archive, repository=repository, tag=tag)
        )

    async def pull(self, reference: str, told: Callable[[Json], None]) -> None:
        """Pull an image; `told` is called in the loop with each of the engine's messages."""
        loop = asyncio.get_running_loop()
        given_up = threading.Event()

        def work() -> None:
            repository, tag = parse_repository_tag(reference)
            failure = ""
            with _translated():
                stream = self._client().pull(
                    repository, tag=tag or "latest", stream=True, decode=True
                )
                # Read to the end even after a failure: only so is the connection given back.
                for message in stream:
                    if given_up.is_set():
                        stream.close()
                        return
                    failure = failure or str(message.get("error", ""))
                    loop.call_soon_threadsafe(told, message)
            if failure:
                raise EngineError(_HTTP_SERVER_ERROR, failure)

        try:
            await self._threads.wait(work)
        finally:
            given_up.set()

    async def create(self, name: str, body: Json) -> str:
        """Create a container and return its id."""
        made = await self._call(
            lambda client: client.create_container_from_config(body, name or None)
        )
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """Start a container; one that runs already stays as it is."""
        await self._call(lambda client: client.start(container))

    async def stop(self, container: str, grace_s: float) -> None:
        """SIGTERM, grace, SIGKILL; returns when the container has ended."""
        grace = math.ceil(grace_s)  # the engine knows whole seconds only
        await self._wait(lambda client: client.stop(container, timeout=grace))

    async def ended(self, container: str, *, within_s: float) -> bool:
        """Say whether the container ends within this time; a removed one has ended."""

        def work(client: docker.APIClient) -> bool:
            try:
                client.wait(container, timeout=math.ceil(within_s), condition="not-running")
            except (requests.ReadTimeout, requests.ConnectionError):
                # docker-py's unix transport reports an expired time-out as either of them.
                return False
            return True

        try:
            return await self._wait(work)
        except EngineError as error:
            if error.not_there:
                return True
            raise

    async def remove(self, container: str) -> None:
        """Remove a container with its anonymous volumes, running or not; returns when gone."""
        try:
            await self._call(lambda client: client.remove_container(container, v=True, force=True))
        except EngineError as error:
            if error.not_there:
                return
            if not error.conflict:
                raise
            await self._gone(container)

    async def _gone(self, container: str) -> None:
        # 409: somebody else's removal of it is in progress.
        with suppress(EngineError):
            await self._wait(
                lambda client: client.wait(container, timeout=self._timeout_s, condition="removed")
            )

    async def inspect(self, container: str) -> Json | None:
        """Return a container by name or id, None if there is none."""
        return await self._or_none(lambda client: client.inspect_container(container))

    async def ids(self, labels: dict[str, str]) -> list[str]:
        """Return the ids of all containers, ended ones too, that carry these labels."""
        filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
        found = await self._call(lambda client: client.containers(all=True, filters=filters))
        return [str(entry["Id"]) for entry in found]

    async def file_mode(self, container: str, path: str) -> int | None:
        """Return the mode (Go's bits) of a file in a container, links followed, or None."""
        stat = await self._call(lambda client: path_stat(client, container, path))
        if stat is not None and stat["linkTarget"]:
            target = str(stat["linkTarget"])
            stat = await self._call(lambda client: path_stat(client, container, target))
        return None if stat is None else int(stat["mode"])

    async def text(self, container: str, path: str) -> str:
        """Return a small text file of a container, "" if it has none."""
        found: Any = await self._or_none(lambda client: small_text(client, container, path))
        return found or ""

    async def last_errors(self, container: str) -> str:
        """Return the last lines that a container wrote to its standard error."""
        try:
            data = await self._call(
                lambda client: client.logs(container, stdout=False, stderr=True, tail=5)
            )
        except EngineError as error:
            if error.not_there:
                return ""
            raise
        return bytes(data).decode(errors="replace")

    async def events(self, *, since: str, labels: dict[str, str]) -> EventFeed:
        """Return the ends and removals of labelled containers since this time, without end."""
        filters = {
            "type": "container",
            "event": ["die", "destroy"],
            "label": [f"{key}={value}" for key, value in labels.items()],
        }
        stream = await self.stream(
            lambda client: client.events(since=since, filters=filters, decode=True)
        )
        return EventFeed(stream)

    async def stream(self, begin: Callable[[Any], T]) -> T:
        """Return an answer that goes on for ever, as `begin` asks the client that waits for it."""

        def work() -> T:
            if self._waiting is None:
                raise RuntimeUnavailable("the container engine is not connected")
            with _translated():
                return begin(self._waiting)

        return await self._threads.call(work)

    def _environment(self) -> Json:
        environment: Json = dict(docker.utils.kwargs_from_env())
        return (
            environment if self._base_url is None else {**environment, "base_url": self._base_url}
        )

    def _connect(self, timeout_s: int | None) -> docker.APIClient:
        environment = self._environment()
        with _translated():
            addresses.reach(environment.get("base_url", addresses.DEFAULT_URL))
            # The version is asked for with a bound even by the client that waits.
            client = docker.APIClient(
                version="auto",
                timeout=self._timeout_s,
                max_pool_size=CALL_THREADS + WAIT_THREADS,
                **environment,
            )
        timeout: Any = timeout_s  # None is "no bound" to docker-py, which its types don't say
        client.timeout = timeout
        return client

    def _client(self) -> docker.APIClient:
        if self._bounded is None:
            raise RuntimeUnavailable("the container engine is not connected")
        return self._bounded

    async def _call(self, call: Callable[[Any], T]) -> T:
        return await self._threads.call(lambda: self._bare(call))

    async def _wait(self, call: Callable[[Any], T]) -> T:
        return await self._threads.wait(lambda: self._bare(call))

    async def _or_none(self, call: Callable[[Any], Any]) -> Json | None:
        try:
            found: Json = await self._call(call)
        except EngineError as error:
            if error.not_there:
                return None
            raise
        return found

    def _bare(self, call: Callable[[Any], T]) -> T:
        with _translated():
            return call(self._client())
