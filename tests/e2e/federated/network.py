"""Sites that share no network: each in a namespace of its own, with a cable to the server's alone.

The server is in a namespace too, so that nothing of this machine but its ports can be reached.
"""

import os
import secrets
import shutil
import subprocess
import uuid
from contextlib import suppress

TOOLS = ("ip", "nsenter")


def missing_here() -> str:
    """Return what this machine lacks for it, "" if nothing."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Network:
    """The server's namespace, and a cable from it to this machine; the caller closes it.

    `server_host` is the only address that sites have a way to.
    """

    def __init__(self) -> None:
        self._name = f"fedflow-{uuid.uuid4().hex[:8]}"
        # Nobody else's, most likely: another run of the same tests may have drawn too.
        self._prefix = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
        self.server_host = f"{self._prefix}.254"
        self._namespaces: list[str] = []
        try:
            self.server = self._namespace("server")
            _ip("-n", self.server, "address", "add", f"{self.server_host}/32", "dev", "lo")
            self.run(self.server, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
            self._cable = self._connect(None)
        except BaseException:
            self.close()
            raise

    def add_site(self, name: str) -> str:
        """Return the name of a new namespace from which only the server can be reached."""
        namespace = self._namespace(name)
        self._connect(namespace)
        return namespace

    def within(self, namespace: str) -> tuple[str, ...]:
        """Return the command that runs another in the namespace."""
        return ("nsenter", f"--net=/run/netns/{namespace}", "--")

    def run(self, namespace: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace to its end, however it ends."""
        return subprocess.run(
            [*self.within(namespace), *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def address(self, namespace: str) -> str:
        """Return the address of a site's end of its cable."""
        return f"{self._prefix}.{4 * self._namespaces.index(namespace) + 2}"

    def cut(self, namespace: str) -> None:
        """Let everything vanish without a word that goes to a site or comes from it."""
        # Each end sends to a machine that is not there.
        for place, host, cable in self._ends(namespace):
            _ip("-n", place, "neighbour", "replace", host, "lladdr", "02:00:00:00:00:01",
                "dev", cable, "nud", "permanent")  # fmt: skip

    def heal(self, namespace: str) -> None:
        """Let pass again what `cut` held."""
        for place, host, cable in self._ends(namespace):
            _ip("-n", place, "neighbour", "delete", host, "dev", cable)

    def close(self) -> None:
        """Remove it all. May be called twice."""
        for namespace in self._namespaces:
            # Both ends of its cables go with it.
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", namespace)
        self._namespaces = []

    def _namespace(self, name: str) -> str:
        namespace = f"{self._name}-{name}"
        _ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _ends(self, namespace: str) -> tuple[tuple[str, str, str], ...]:
        """Return at both ends of a site's cable the place, the other's address, and the device."""
        number = self._namespaces.index(namespace)
        name = f"ff{self._name[-6:]}{number}"
        return (
            (self.server, self.address(namespace), f"{name}s"),
            (namespace, f"{self._prefix}.{4 * number + 1}", f"{name}c"),
        )

    def _connect(self, namespace: str | None) -> str:
        """Lay a cable from the server to a site, or to this machine."""
        number = 0 if namespace is None else self._namespaces.index(namespace)
        near, far = f"ff{self._name[-6:]}{number}s", f"ff{self._name[-6:]}{number}c"
        _ip("-n", self.server, "link", "add", near, "type", "veth", "peer", "name", far)
        place = "1" if namespace is None else namespace
        _ip("-n", self.server, "link", "set", far, "netns", place)
        there = () if namespace is None else ("-n", namespace)
        own, gateway = (f"{self._prefix}.{4 * number + end}" for end in (2, 1))
        _ip("-n", self.server, "address", "add", f"{gateway}/30", "dev", near)
        _ip("-n", self.server, "link", "set", near, "up")
        _ip(*there, "address", "add", f"{own}/30", "dev", far)
        _ip(*there, "link", "set", far, "up")
        _ip(*there, "route", "add", f"{self.server_host}/32", "via", gateway)
        return far


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)
