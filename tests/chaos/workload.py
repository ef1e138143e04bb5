"""What runs at the sites: a shell that says that it ran, waits for its gate, and says its end."""

import shlex

from tests.chaos.place import PARTIES, Place
from tests.chaos.schedule import Schedule
from tests.images import BUSYBOX_IMAGE

STOP_GRACE_S = 1

_SCRIPT = """
echo "$$" >> "$FEDFLOW_OUTPUT_DIR/starts"
leave() {{ echo "$1" > "$FEDFLOW_OUTPUT_DIR/exit"; exit "$1"; }}
{trap}
while [ ! -e "$FEDFLOW_DATA_DIR/$FEDFLOW_TASK_ID" ]; do sleep 0.02; done
case "$FEDFLOW_PARTY_ID" in {cases} esac
"""


def template(schedule: Schedule) -> dict[str, object]:
    """Return the SDK's arguments for a template."""
    work, limits = schedule.work, schedule.limits
    if work.deaf:
        trap = "trap '' TERM"
    elif work.polite is not None:
        trap = f"trap 'leave {work.polite}' TERM"
    else:
        trap = ""
    cases = " ".join(
        f"{shlex.quote(party)}) leave {code};;"
        for party, code in zip(PARTIES, work.exit_codes, strict=True)
    )
    return {
        "image_url": BUSYBOX_IMAGE if schedule.kind.runtime == "docker" else "ignored:1",
        "workdir": "",
        "command": ["sh", "-c", _SCRIPT.format(trap=trap, cases=cases)],
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
