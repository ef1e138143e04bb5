"""Looks at one file in a container, which docker-py offers only with the whole file's download."""

import base64
import json
from typing import Any


def path_stat(client: Any, container: str, path: str) -> dict[str, Any] | None:
    """Return the engine's stat of a path, links not followed; None if there is no such file.

    `client` is a docker APIClient; this blocks as its calls do.
    """
    answer = client.head(
        f"{client.base_url}/v{client.api_version}/containers/{container}/archive",
        params={"path": path},
        timeout=client.timeout,
    )
    header = answer.headers.get("X-Docker-Container-Path-Stat")
    if not answer.ok or header is None:
        return None
    stat: dict[str, Any] = json.loads(base64.b64decode(header))
    return stat
