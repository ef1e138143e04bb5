"""The operating system's limits."""

import resource


def allow_many_files() -> None:
    """Let this process open as many files as it may: a thousand connections need them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
