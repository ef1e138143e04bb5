"""NAME=VALUE on a command line: hyper-parameters, environment variables, parties."""

from collections.abc import Iterable, Sequence

import click

# The start has a number of its own for it.
EPOCHS = "epochs"


def pairs(option: str, items: Iterable[str]) -> dict[str, str]:
    """Return NAME=VALUE items as a dict; what is none ends the command."""
    found: dict[str, str] = {}
    for item in items:
        name, sign, value = item.partition("=")
        if not sign or not name.strip():
            raise click.UsageError(f"{option}: {item!r} is not NAME=VALUE")
        if name in found:
            raise click.UsageError(f"{option}: {name!r} is given twice")
        found[name] = value
    return found


def parties(items: Iterable[str]) -> list[dict[str, str]]:
    """Return PARTY or PARTY=DATA items as the SDK takes them."""
    split = (item.partition("=") for item in items)
    return [{"federated_id": party, "federated_data": data} for party, _, data in split]


def epochs_of(given: dict[str, str], epochs: int | None) -> int | None:
    """Take `epochs` out of the parameters; return the number of epochs, None for the default."""
    text = given.pop(EPOCHS, None)
    if text is None:
        return epochs
    if epochs is not None:
        raise click.UsageError("give --epochs or --param epochs=…, not both")
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"--param: epochs={text}: give a whole number")
    return int(text)


def overlaid(known: Sequence[str] | None, given: dict[str, str]) -> list[str] | None:
    """Return the known NAME=VALUE texts with what is given in place of them or after them."""
    if not given:
        return None if known is None else list(known)
    left = dict(given)
    found = []
    for entry in known or ():
        name = entry.partition("=")[0].strip()
        found.append(f"{name}={left.pop(name)}" if name in left else entry)
    return found + [f"{name}={value}" for name, value in left.items()]
