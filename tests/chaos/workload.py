"""The template of what runs at the sites, and the gates that it waits at."""

import json
import sys
from pathlib import Path

from tests.chaos.images import PYTHON_IMAGE
from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Schedule

STOP_GRACE_S = 1
_PROGRAM = Path(__file__).with_name("teller.py").read_text()


def template(schedule: Schedule) -> dict[str, object]:
    """Return the SDK's arguments for a template."""
    work, limits = schedule.work, schedule.limits
    at_term = "deaf" if work.deaf else "" if work.polite is None else str(work.polite)
    codes = json.dumps(dict(zip(PARTIES, work.exit_codes, strict=True)))
    is_docker = schedule.kind.runtime == "docker"
    python = "python3" if is_docker else sys.executable
    return {
        "image_url": PYTHON_IMAGE if is_docker else "ignored:1",
        "workdir": "",
        "command": [python, "-I", "-S", "-c", _PROGRAM, codes, at_term, schedule.large],
        "stop_grace_s": STOP_GRACE_S,
        "retry": {
            "max_retries": schedule.repeats,
            "backoff_s": 0,
            "on_nonzero_exit": limits.on_nonzero_exit,
        },
        "run_timeout_s": limits.run_timeout_s,
        "on_disconnect": {"stop_after_s": limits.stop_after_s} if limits.stop_after_s else "keep",
        "start_deadline_s": work.start_deadline_s,
        **({"resources": {"gpus": {"count": work.gpus}}} if work.gpus else {}),
    }


def open_gates(place: Place, task_id: str) -> None:
    for site in place.sites:
        (site.data / task_id).touch()
