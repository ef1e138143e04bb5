"""A second Docker Engine that believes it has GPUs, apart from the first in everything.

It lives in a network namespace of its own: in the first engine's it would take down that
one's bridge. Everything it makes lies under one folder, and `close` leaves nothing of it.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from pathlib import Path

import docker
from docker.errors import DockerException

START_S = 120
STOP_S = 60
IMAGE = "fedflow-test-gpu:1"
HOOK_NAME = "nvidia-container-runtime-hook"
TOOLS = ("dockerd", "ip", "nsenter", "setpriv", "busybox")
BIN_FOLDERS = ":/usr/sbin:/sbin"


def missing_here() -> str:
    """Return what this machine lacks to run a second engine, "" if nothing."""
    if os.geteuid() != 0:
        return "only root can start a second engine"
    path = os.environ["PATH"] + BIN_FOLDERS
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


class SecondEngine:
    """A running engine with `gpu_count` pretended GPUs, the indices from 0.

    The caller closes it. Raises AssertionError with the engine's log if it does not start.
    """

    def __init__(self, gpu_count: int) -> None:
        self.gpu_count = gpu_count
        self.name = f"fedflow-{uuid.uuid4().hex[:8]}"
        # Not pytest's folder: the path of a socket may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="fedflow-gpu-"))
        self.url = f"unix://{self.folder}/docker.sock"
        self._calls = self.folder / "hook.log"
        self._calls.touch()
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._prepare()
            self.spawn()
            self.client = self.connect()
            self._load_image()
        except BaseException:
            self.close()
            raise

    def hook_calls(self) -> list[dict[str, str]]:
        """Return what the hook was asked, in order: {"container", "visible"}."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def oci_environment(self, container_id: str) -> dict[str, str]:
        """Return the environment in the running container's OCI configuration."""
        [path] = self.folder.glob(f"exec/containerd/daemon/**/{container_id}/config.json")
        entries = json.loads(path.read_text())["process"]["env"]
        return dict(entry.split("=", 1) for entry in entries)

    def close(self) -> None:
        """Remove containers, engine, mounts, network namespace and folder."""
        client = getattr(self, "client", None)
        if client is not None:
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True)
            client.close()
        self._stop()
        for mounted in reversed(_mounts_below(self.folder)):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        subprocess.run(["ip", "netns", "delete", self.name], env=_environment(), check=False)
        shutil.rmtree(self.folder)

    def _prepare(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        hook = programs / HOOK_NAME
        source = Path(__file__).with_name("fake_nvidia_hook.py")
        hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{source}" "$@"\n')
        hook.chmod(0o755)
        (self.folder / "daemon.json").write_text("{}")
        self._environment = _environment(
            # The engine looks for the hook when it starts, and passes its environment on to it.
            PATH=f"{programs}:{os.environ['PATH']}{BIN_FOLDERS}",
            FAKE_GPU_COUNT=str(self.gpu_count),
            FAKE_GPU_LOG=str(self._calls),
        )
        subprocess.run(["ip", "netns", "add", self.name], env=self._environment, check=True)

    def spawn(self) -> None:
        """Start the engine's process, which must not be there; `connect` waits for it."""
        with (self.folder / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                # Should the tests be killed, the engine is told to end.
                ["setpriv", "--pdeathsig", "TERM",
                 # Not `ip netns exec`: that one hides the cgroup mounts.
                 "nsenter", f"--net=/run/netns/{self.name}",
                 "dockerd", "--config-file", self.folder / "daemon.json", "--host", self.url,
                 "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                 "--pidfile", self.folder / "docker.pid",
                 "--containerd-namespace", self.name,
                 "--containerd-plugins-namespace", f"plugins-{self.name}",
                 "--bridge", "none", "--iptables=false", "--ip-masq=false"],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def connect(self) -> docker.DockerClient:
        """Return a client once the engine answers; the caller closes it."""
        deadline = time.monotonic() + START_S
        while self.process is not None and self.process.poll() is None:
            if (self.folder / "docker.sock").exists():
                try:
                    client = docker.DockerClient(base_url=self.url, version="auto", timeout=START_S)
                except DockerException:
                    pass  # the socket is there before the engine answers on it
                else:
                    return client
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.05)
        raise AssertionError(f"dockerd ended: {self._log()}")

    def _load_image(self) -> None:
        busybox = shutil.which("busybox", path=os.environ["PATH"] + BIN_FOLDERS)
        assert busybox is not None
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(Path(busybox).resolve(), "bin/busybox")
            for applet in ("sh", "ls", "cat", "sleep", "env", "true"):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        repository, tag = IMAGE.split(":")
        self.client.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)

    def _stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._end_orphans()

    def _end_orphans(self) -> None:
        """End a containerd or shim that an engine which had to be killed left behind."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # ended meanwhile
            if os.fsencode(self.folder) in command:
                os.kill(int(entry.name), signal.SIGKILL)

    def _log(self) -> str:
        return (self.folder / "dockerd.log").read_text()[-4000:]


def _environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    return {**own, "PATH": os.environ["PATH"] + BIN_FOLDERS, **more}


def _mounts_below(folder: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]
