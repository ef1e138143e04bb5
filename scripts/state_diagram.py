"""Write the generated parts of docs/task_model.md: state diagrams and the table of reasons.

python scripts/state_diagram.py           writes them
python scripts/state_diagram.py --check   exits 1 if they are not what the code says
"""

import argparse
import sys
from pathlib import Path

from flow_contract.lifecycle import (
    PARTY_RUN_MOVES,
    RUN_MOVES,
    PartyRunState,
    RunStatus,
    is_final,
    is_final_status,
)
from flow_contract.reasons import SENTENCES, Reason

PAGE = Path(__file__).resolve().parent.parent / "docs" / "task_model.md"


def party_run_diagram() -> str:
    """Return the party run's table as a mermaid state diagram."""
    lines = [f"    [*] --> {PartyRunState.PENDING}"]
    for state, moves in PARTY_RUN_MOVES.items():
        lines += [f"    {state} --> {target} : {event}" for event, target in moves.items()]
        if is_final(state):
            lines.append(f"    {state} --> [*]")
    return _mermaid(lines)


def run_diagram() -> str:
    """Return the run's table as a mermaid state diagram; null is a task that never ran."""
    lines = [f"    [*] --> {RunStatus.STARTED}", f"    [*] --> {RunStatus.PENDING}"]
    lines.append(f"    [*] --> {RunStatus.FAILED}")
    for status, targets in RUN_MOVES.items():
        lines += [f"    {status} --> {target}" for target in targets]
        if is_final_status(status):
            lines.append(f"    {status} --> [*]")
    return _mermaid(lines)


def reason_table() -> str:
    """Return every reason but `none` with the sentence that people read."""
    rows = [f"| `{reason}` | {SENTENCES[reason]} |" for reason in Reason if SENTENCES[reason]]
    return "\n".join(["| reason | what people read |", "|---|---|", *rows])


PARTS = {
    "party run diagram": party_run_diagram,
    "run diagram": run_diagram,
    "reasons": reason_table,
}


def generate(page: str) -> str:
    """Return the page with every generated part renewed.

    Raises:
        ValueError: a part's markers are not on the page exactly once.
    """
    for name, part in PARTS.items():
        begin, end = f"<!-- begin generated: {name} -->", f"<!-- end generated: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page must hold the markers of '{name}' exactly once")
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        page = f"{before}{begin}\n{part()}\n{end}{after}"
    return page


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; return the exit status."""
    parser = argparse.ArgumentParser(description="Renew the generated parts of task_model.md.")
    parser.add_argument("--check", action="store_true", help="only say whether they are fresh")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    fresh = generate(page)
    if options.check:
        if page != fresh:
            print(f"{PAGE.name} is not what the code says; run: python scripts/state_diagram.py")
        return int(page != fresh)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


if __name__ == "__main__":
    sys.exit(main())
