"""Files that say "ready": written whole, read once they are there."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def published(path: Path | None, content: dict[str, Any]) -> Iterator[None]:
    """Have `content` at `path` for as long as the block lasts; None publishes nothing."""
    if path is None:
        yield
        return
    # In one step: who sees the file sees all of it.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content) + "\n")
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Return what a ready file says."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content
