"""What code inside a container imports: standard library only, any Python image will do.

    import flow_worker

    lr = flow_worker.parameters().get("lr", 0.05)
    for epoch in range(1, flow_worker.epochs() + 1):
        loss = train(lr)
        flow_worker.metric("loss", loss, step=epoch)
        flow_worker.progress(epoch, flow_worker.epochs())

No call raises, and none but `output` and `flush` waits for anybody: what is reported goes out in
the background, and is kept, within bounds, while the site's agent is away. Outside of Fedflow
nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_worker.environment import Party, epochs, parameters, party
from flow_worker.files import send
from flow_worker.worker import current

__all__ = [
    "Party",
    "epochs",
    "flush",
    "message",
    "metric",
    "metrics",
    "output",
    "parameters",
    "party",
    "progress",
]


def progress(epoch: int, total: int | None = None) -> None:
    """Say that `epoch` of `total` epochs are done; only the newest word counts."""
    current().progress(epoch, total)


def metric(name: str, value: Any, step: int | None = None) -> None:
    """Record one number, or what `float` makes one of, such as a tensor of one element.

    `step` None means one more than the last of this name, from 0. NaN and infinities are left
    out, which stderr says once.
    """
    current().metrics({name: value}, step)


def metrics(values: Mapping[str, Any], step: int | None = None) -> None:
    """Record several numbers of one step."""
    current().metrics(values, step)


def message(text: str) -> None:
    """Say one sentence for people; the newest is shown beside the party's status."""
    current().message(text)


def output(path: Any, name: str | None = None) -> bool:
    """Send a file to the researcher now, whatever its size; return whether the agent has it.

    `name` None means its path within the output directory, or else the file's own name. A newer
    file takes the place of an older one of its name. What lies in the output directory when the
    workload ends is sent without this call. Of a failure stderr tells.
    """
    return send(path, name)


def flush(timeout_s: float = 5.0) -> bool:
    """Wait until everything has reached the agent; False if it hasn't after `timeout_s`.

    Called by itself when the program ends.
    """
    return current().flush(timeout_s)
