"""Where an agent says that it is connected."""

import json
from pathlib import Path


def write_ready_file(path: Path, content: dict[str, str]) -> None:
    """Write the JSON file whole or not at all: who sees it can read it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(content) + "\n")
    draft.replace(path)
