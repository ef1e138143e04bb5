"""The colours of states and statuses, on terminals that have colours."""

COLOURS = {
    "preparing": "blue",
    "prepared": "blue",
    "launching": "blue",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "refused": "red",
    "lost": "red",
    "stopped": "yellow",
    "Started": "blue",
    "Pending": "blue",
    "Running": "cyan",
    "Succeeded": "green",
    "Failed": "red",
    "Unknown": "red",
    "Cancelled": "yellow",
}


def colour_of(text: str) -> str:
    """Return a Rich style for a state or status, "" for any other text."""
    return COLOURS.get(text, "")
