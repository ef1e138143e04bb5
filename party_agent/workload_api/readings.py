"""Pure: what a workload's request says, read field by field; each failure names its field."""

import json
import math
from dataclasses import dataclass
from typing import Any

from flow_contract import checks
from flow_contract.errors import InvalidArgument
from flow_contract.metrics import MAX_NAME_LENGTH, MAX_STEP
from flow_contract.tasks import MAX_EPOCHS

MAX_TEXT_LENGTH = 1_000
MAX_POINTS = 10_000
MAX_BATCH_LENGTH = 64
# Year 1 to 9999, as a datetime can hold it.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True, kw_only=True)
class SentPoint:
    """One number. `step` and `at_us` None leave them to the agent."""

    name: str
    value: float
    step: int | None
    at_us: int | None


@dataclass(frozen=True, kw_only=True)
class SentBatch:
    """Points that are stored together, once per `batch`, "" for always.

    `dropped` counts points that the workload's side could not keep since the last batch.
    """

    points: tuple[SentPoint, ...]
    batch: str
    dropped: int


def document(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"body: not JSON ({error})"[:200], field="body") from None
    if not isinstance(found, dict):
        raise InvalidArgument("body: must be a JSON object", field="body")
    return found


def progress(found: dict[str, Any]) -> tuple[int, int | None]:
    """Return (epoch, total); a total that is left out is None."""
    _only(found, "epoch", "total")
    total = found.get("total")
    return (
        _whole(found.get("epoch"), "epoch", most=MAX_EPOCHS),
        None if total is None else _whole(total, "total", most=MAX_EPOCHS),
    )


def message(found: dict[str, Any]) -> str:
    """Return the sentence."""
    _only(found, "text")
    return _text(found.get("text"), "text", MAX_TEXT_LENGTH)


def metrics(found: dict[str, Any]) -> SentBatch:
    """Return the points, all of them or none."""
    _only(found, "points", "batch", "dropped")
    points = found.get("points")
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise InvalidArgument(
            f"points: must be a list of at most {MAX_POINTS} points", field="points"
        )
    batch = found.get("batch", "")
    return SentBatch(
        points=tuple(_point(item, f"points[{place}]") for place, item in enumerate(points)),
        batch=batch and _text(batch, "batch", MAX_BATCH_LENGTH),
        dropped=_whole(found.get("dropped", 0), "dropped", most=MAX_STEP),
    )


def _point(found: Any, field: str) -> SentPoint:
    if not isinstance(found, dict):
        raise InvalidArgument(f"{field}: must be a JSON object", field=field)
    _only(found, "name", "value", "step", "time", within=f"{field}.")
    step, time_s = found.get("step"), found.get("time")
    return SentPoint(
        name=_text(found.get("name"), f"{field}.name", MAX_NAME_LENGTH),
        value=_number(found.get("value"), f"{field}.value"),
        step=None
        if step is None
        else _whole(step, f"{field}.step", least=-MAX_STEP, most=MAX_STEP),
        at_us=None if time_s is None else _time_us(time_s, f"{field}.time"),
    )


def _time_us(value: Any, field: str) -> int:
    seconds = _number(value, field)
    if not _FIRST_S <= seconds <= _LAST_S:
        raise InvalidArgument(f"{field}: must be seconds since 1970", field=field)
    return round(seconds * 1e6)


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(f"{field}: must be a number", field=field)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidArgument(
            f"{field}: must be a finite number; leave out what is not", field=field
        )
    return number


def _whole(value: Any, field: str, *, most: int, least: int = 0) -> int:
    number = _number(value, field)
    whole = value if isinstance(value, int) else int(number)
    if whole != value or not least <= whole <= most:
        raise InvalidArgument(
            f"{field}: must be a whole number from {least} to {most}", field=field
        )
    return whole


def _text(value: Any, field: str, max_chars: int) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgument(
            f"{field}: must be a text of 1 to {max_chars} characters", field=field
        )
    checks.text(field, value, max_chars=max_chars)
    return value


def _only(found: dict[str, Any], *known: str, within: str = "") -> None:
    for name in found:
        if name not in known:
            field = f"{within}{name}"[:100]
            raise InvalidArgument(f"{field}: there is no such field; leave it out", field=field)
