"""What the page on the command line promises."""

import re

from tests.arch.repository import text


def documented(heading):
    """Return the keys that the page names for the JSON of a command, such as "task get"."""
    rows = [line.split("|") for line in text("docs/cli.md").splitlines() if line[:3] == "| `"]
    [keys] = [row[2] for row in rows if f"`{heading}`" in row[1]]
    # What stands in brackets is of what is in them.
    return re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", keys))
