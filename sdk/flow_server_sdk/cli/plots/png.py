"""Curves in a PNG, by matplotlib, which is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flow_contract.foreign_text import printable
from flow_server_sdk.cli.exits import CommandFailed, Exit
from flow_server_sdk.cli.plots.series import Curve

_WIDTH_IN, _HEIGHT_IN = 8.0, 3.5


def write(path: Path, metrics: Mapping[str, Sequence[Curve]], *, title: str) -> None:
    """Write one picture, a part per metric.

    Raises:
        CommandFailed: matplotlib is not installed, or the file can't be written.
    """
    try:
        # Not pyplot: it looks for a screen, and keeps every figure.
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise CommandFailed(
            "matplotlib is not installed; install fedflow[plots]", Exit.ERROR
        ) from None
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN * len(metrics)), layout="constrained")
    figure.suptitle(_plain(title))
    for axes, (name, curves) in zip(
        figure.subplots(len(metrics), squeeze=False)[:, 0], metrics.items(), strict=True
    ):
        for curve in curves:
            is_alone = len(curve.steps) == 1
            axes.plot(
                curve.steps, curve.values, label=_plain(curve.party), marker="o" if is_alone else ""
            )
        axes.set_ylabel(_plain(name))
        axes.set_xlabel("step")
        axes.legend()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise CommandFailed(f"{path}: can't be written: {error.strerror}", Exit.ERROR) from None


def _plain(text: str) -> str:
    # matplotlib reads dollars as formulas, and leaves out labels that begin with an underscore.
    shown = printable(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
