"""Writes docs/flow.schema.json, what editors check a flow's YAML file with, from the code."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "flow.schema.json"


def main() -> None:
    """Write the page."""
    sys.path.insert(0, str(ROOT / "sdk"))
    from flow_server_sdk.cli.flowfile.schema import json_schema  # noqa: PLC0415 - found just now

    PAGE.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
