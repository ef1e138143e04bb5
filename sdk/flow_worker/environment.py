"""Who the workload is: what the agent put into its environment."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple


class Party(NamedTuple):
    """One party's share of a run. Outside of Fedflow: no ids, and the only party of one.

    `parties` are the ids by rank. The directories are paths, "" where there is none.
    """

    task_id: str
    run_id: str
    party_id: str
    role: str
    rank: int
    world_size: int
    parties: tuple[str, ...]
    data_dir: str
    output_dir: str


def party() -> Party:
    """Return who this workload is."""
    parties = _text("PARTIES")
    return Party(
        task_id=_text("TASK_ID"),
        run_id=_text("RUN_ID"),
        party_id=_text("PARTY_ID"),
        role=_text("ROLE") or "party",
        rank=_number("RANK", 0),
        world_size=_number("WORLD_SIZE", 1),
        parties=tuple(parties.split(",")) if parties else (),
        data_dir=_text("DATA_DIR"),
        output_dir=_text("OUTPUT_DIR"),
    )


def epochs(default: int = 10) -> int:
    """Return how many epochs the start asks for; `default` outside of Fedflow."""
    return _number("EPOCHS", default)


def parameters() -> dict[str, Any]:
    """Return the hyper-parameters of the form name=value.

    Values that are numbers, true, false or null in JSON come as such, all others as text.
    """
    try:
        given = json.loads(_text("HYPER_PARAMETERS") or "[]")
    except ValueError:
        return {}
    pairs = (str(entry).split("=", 1) for entry in given if "=" in str(entry))
    return {name.strip(): _value(text) for name, text in pairs}


def socket_path() -> str:
    """Return the path of the agent's socket, "" outside of Fedflow."""
    return _text("API")


def _text(name: str) -> str:
    return os.environ.get("FEDFLOW_" + name, "")


def _number(name: str, default: int) -> int:
    try:
        return int(_text(name))
    except ValueError:
        return default


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, (str, list, dict)) else value
