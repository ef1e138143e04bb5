"""Looks at one file in a container: its stat alone, or a small one's text."""

import base64
import io
import json
import tarfile
from typing import Any

# Far more than any list of accounts; an image may hold anything under that name.
MAX_TEXT_BYTES = 4 * 1024**2


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


def small_text(client: Any, container: str, path: str) -> str:
    """Return a small text file of a container, "" if something else is there.

    `client` is a docker APIClient; this blocks and fails as its calls do.
    """
    chunks, _ = client.get_archive(container, path)
    archive = bytearray()
    try:
        for chunk in chunks:
            archive += chunk
            if len(archive) > MAX_TEXT_BYTES:
                return ""
    finally:
        chunks.close()
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as tar:
            entry = tar.next()
            file = tar.extractfile(entry) if entry is not None and entry.isfile() else None
            return "" if file is None else file.read().decode(errors="replace")
    except tarfile.TarError:
        return ""
