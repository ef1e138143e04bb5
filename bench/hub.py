"""What people use without Fedflow: `ssh -R` and `ssh -L` through an sshd in the middle.

The sshd has a free port, keys and settings of its own and ends with the bench. Where the machine
has none, Debian's is unpacked into the bench's folder: nothing is installed, no service starts.
"""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench import proc
from bench.near_end import Address, await_far_end
from bench.processes import BenchError

_PACKAGES = ("openssh-server", "libwrap0")
# Root's sshd wants an account `sshd` on the machine; this one is everywhere, and has no rights.
_ACCOUNT = "daemon"
_LISTENS_S = 30.0
_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
"""


@dataclass(kw_only=True)
class Hub:
    """An sshd in the middle. `forwarded` leads from here over it to any address."""

    folder: Path
    port: int
    user: str
    sshd: "subprocess.Popen[bytes]"
    stack: contextlib.ExitStack

    def forwarded(self, target: Address) -> Address:
        """Return the address here that leads to `target`, as one site reaches another over a hub.

        Raises:
            BenchError: nobody answers there.
        """
        in_the_middle, here = free_port(), free_port()
        host, port = target
        self._ssh("-R", f"127.0.0.1:{in_the_middle}:{host}:{port}")
        self._ssh("-L", f"127.0.0.1:{here}:127.0.0.1:{in_the_middle}")
        address = ("127.0.0.1", here)
        await_far_end(address)
        return address

    def cpu_s(self) -> float:
        """Return the CPU seconds of the middle so far."""
        return proc.cpu_s([self.sshd.pid, *proc.descendants(self.sshd.pid)])

    def _ssh(self, way: str, what: str) -> None:
        command = [
            "ssh", "-N", "-F", "/dev/null", "-i", str(self.folder / "user"), "-l", self.user,
            "-p", str(self.port), "-o", f"UserKnownHostsFile={self.folder}/known",
            "-o", "StrictHostKeyChecking=yes", "-o", "ExitOnForwardFailure=yes",
            "-o", "IdentitiesOnly=yes", way, what, "127.0.0.1",
        ]  # fmt: skip
        _running(self.stack, command, self.folder / "ssh.log")


def why_not() -> str:
    """Return why there can be no such hub here, "" if there can."""
    for tool in ("ssh", "ssh-keygen"):
        if shutil.which(tool) is None:
            return f"no {tool} here"
    if _installed() is None and shutil.which("apt-get") is None:
        return "no sshd here, and no apt-get to get it"
    return ""


def open_hub(stack: contextlib.ExitStack, folder: Path) -> Hub:
    """Start an sshd that ends with the stack.

    Raises:
        BenchError: there is none to be had.
    """
    place = folder / "hub"
    place.mkdir()
    sshd, libraries = _sshd(place)
    is_root = os.geteuid() == 0
    for name in ("host", "user"):
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)])
    port = free_port()
    (place / "config").write_text(_CONFIG.format(port=port, folder=place))
    key_type, key, *_ = (place / "host.pub").read_text().split()
    (place / "known").write_text(f"[127.0.0.1]:{port} {key_type} {key}\n")
    if is_root:
        shutil.chown(place / "host", _ACCOUNT, _ACCOUNT)
    place.chmod(0o755)
    process = _running(
        stack,
        [str(sshd), "-D", "-e", "-f", str(place / "config")],
        place / "sshd.log",
        libraries=libraries,
        as_daemon=is_root,
    )
    _await(process, port, place / "sshd.log")
    user = _ACCOUNT if is_root else getpass.getuser()
    return Hub(folder=place, port=port, user=user, sshd=process, stack=stack)


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _installed() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


def _sshd(place: Path) -> tuple[Path, Path | None]:
    """Return the program, and where its libraries lie if not where the machine's are."""
    if found := _installed():
        return Path(found), None
    packages, unpacked = place / "packages", place / "unpacked"
    packages.mkdir()
    _run(["apt-get", "download", "-q", *_PACKAGES], folder=packages)
    for package in packages.iterdir():
        _run(["dpkg-deb", "-x", str(package), str(unpacked)])
    (library,) = unpacked.rglob("libwrap.so.0")
    return unpacked / "usr/sbin/sshd", library.parent


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + _LISTENS_S
    while process.poll() is None and time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        # Nothing tells when somebody listens but trying.
        time.sleep(0.05)
    raise BenchError(f"sshd does not listen: {log.read_text()}")


def _running(
    stack: contextlib.ExitStack,
    command: list[str],
    log: Path,
    *,
    libraries: Path | None = None,
    as_daemon: bool = False,
) -> "subprocess.Popen[bytes]":
    env = {**os.environ, **({} if libraries is None else {"LD_LIBRARY_PATH": str(libraries)})}
    account: dict[str, object] = (
        {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if as_daemon else {}
    )
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=env, **account
        )  # type: ignore[call-overload]  # the account's keys are those of Popen

    def end() -> None:
        process.terminate()
        process.wait()

    stack.callback(end)
    return process


def _run(command: list[str], *, folder: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise BenchError(f"{' '.join(command[:2])} failed: {done.stderr.strip()}")
