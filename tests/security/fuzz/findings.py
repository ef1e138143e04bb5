"""What a fuzzing run counts and what it finds."""

import resource
from collections import Counter
from pathlib import Path

KEPT = 50
# One answer on a busy machine; a hang is for ever.
ANSWER_S = 30
# Over a whole run, whose own machinery is in it.
MAX_GROWTH_BYTES = 400 * 1024 * 1024


class Findings:
    """Outcomes by target, and whatever should not have happened, with the input that did it."""

    def __init__(self):
        self.outcomes = Counter()
        self.inputs = Counter()
        self.found = []
        self.grown_bytes = 0
        self._rss_bytes = rss_bytes()

    def ended(self, target, outcome, inputs=1):
        self.outcomes[target, outcome] += 1
        self.inputs[target] += inputs

    def find(self, target, number, what, data=b""):
        if len(self.found) < KEPT:
            self.found.append(f"{target} #{number}: {what} {data[:300].hex()}")

    def look_at_memory(self):
        grown = rss_bytes() - self._rss_bytes
        if grown > MAX_GROWTH_BYTES:
            self.find("memory", 0, f"grew by {grown >> 20} MiB")
        self.grown_bytes = grown

    def table(self):
        for (target, outcome), count in sorted(self.outcomes.items()):
            yield f"{target:<28} {outcome:<24} {count:>8}"
        yield from (
            f"{target:<28} {'inputs':<24} {count:>8}" for target, count in self.inputs.items()
        )
        yield f"{'all':<28} {'inputs':<24} {sum(self.inputs.values()):>8}"


def rss_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
