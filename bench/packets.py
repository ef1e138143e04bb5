"""A network that drops packets: what nobody answers, and what nobody hears of afterwards either."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

_CHAINS = (("INPUT", "--dport"), ("INPUT", "--sport"))


def why_not() -> str:
    """Return why packets can't be dropped here, "" if they can."""
    if sys.platform != "linux":
        return "only on Linux"
    if os.geteuid() != 0:
        return "only as root"
    if shutil.which("iptables") is None:
        return "there is no iptables here"
    found = subprocess.run(
        ["iptables", "-w", "-n", "-L", "INPUT"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stderr.strip() if found.returncode else ""


@contextlib.contextmanager
def dropped(port: int) -> Iterator[None]:
    """Drop every packet to and from a local TCP port, those that open connections included."""
    with contextlib.ExitStack() as stack:
        for chain, side in _CHAINS:
            rule = [chain, "-i", "lo", "-p", "tcp", side, str(port), "-j", "DROP"]
            _iptables("-I", rule)
            stack.callback(_iptables, "-D", rule)
        yield


def _iptables(verb: str, rule: list[str]) -> None:
    # A moment at most, so the loop of the bench may wait for it.
    subprocess.run(["iptables", "-w", verb, *rule], check=True)
