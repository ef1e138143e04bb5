"""How large the machine is, for the inventory and the site's resource rules."""

import os


def cpus() -> float:
    """Return the cores that this process may use."""
    return float(len(os.sched_getaffinity(0)))


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
