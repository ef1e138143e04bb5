"""Sizes as people read them."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024


def size_of(count_bytes: float) -> str:
    """Return a number of bytes with three digits or so: 12 B, 1.5 KiB, 340 MiB."""
    for unit in _UNITS:
        # What would be rounded up to the next unit is written in it.
        if round(count_bytes) < _STEP or unit == _UNITS[-1]:
            break
        count_bytes /= _STEP
    digits = 0 if unit == _UNITS[0] or count_bytes >= 99.95 else 1  # noqa: PLR2004
    return f"{count_bytes:.{digits}f} {unit}"
