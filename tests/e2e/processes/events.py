"""What the engine itself says it did: its event log, without a gap."""

import time
import uuid
from typing import Self

import docker

from party_agent.workload import LABEL_PREFIX

RUN, PARTY = f"{LABEL_PREFIX}run", f"{LABEL_PREFIX}party"


class EngineEvents:
    """The engine's create and start events of workloads, while the block runs.

    The log is whole: at the end it is read up to an event of our own.
    """

    def __init__(self, client: docker.APIClient, image: str) -> None:
        self._client = client
        self._image = image
        self._seen: list[tuple[str, dict[str, str]]] = []

    def __enter__(self) -> Self:
        self._stream = self._client.events(
            since=int(time.time()), filters={"event": ["create", "start", "tag"]}, decode=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        marker = f"fedflow-test-marker:{uuid.uuid4().hex}"
        repository, tag = marker.split(":")
        self._client.tag(self._image, repository, tag)
        try:
            for event in self._stream:
                found = event["Actor"]["Attributes"]
                if found.get("name") == marker:
                    break
                self._seen.append((event["Action"], found))
        finally:
            # Not the stream's own `close`, which leaves a socket for the garbage collector.
            self._stream._response.close()
            self._client.remove_image(marker, noprune=True)

    def parties(self, action: str, run_id: str) -> list[str]:
        """Return at which parties a container of this run went through `action`, sorted."""
        return sorted(
            found[PARTY]
            for seen, found in self._seen
            if seen == action and found.get(RUN) == run_id
        )
