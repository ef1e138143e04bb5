"""What this agent is."""

from importlib import metadata


def version() -> str:
    """Return the installed version, or that there is none: a source tree."""
    try:
        return metadata.version("fedflow")
    except metadata.PackageNotFoundError:
        return "source"
