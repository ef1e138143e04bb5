"""A large output from a site to a reader's reach, beside the same file over openssl's TLS.

Both go over TLS on this machine's loopback and end when the bytes are on the same disk itself, in
turns. Beside it the most memory that server and agent have taken.
"""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

from bench.figures import median, spread
from bench.proc import wait_until_quiet
from bench.processes import BenchError, Server
from bench.secure import secure_server
from bench.table import Row
from flow_server_sdk import FlowServerSdk

SIZE_BYTES = int(os.environ.get("BENCH_OUTPUT_BYTES", str(1024**3)))
ROUNDS = 3
_DEADLINE_S = 1800.0
_LOOK_S = 0.01
_PARTY = "site"


def measure(server: Server, folder: Path) -> list[Row]:
    """Return the rows on outputs."""
    source = folder / "source"
    _make(source)
    uploads, copies = [], []
    with contextlib.ExitStack() as stack:
        secure = secure_server(stack, server, folder)
        agent = secure.site(_PARTY)
        before = _peak_bytes(secure.child.pid), _peak_bytes(agent.pid)
        for _ in range(ROUNDS):
            wait_until_quiet()
            copies.append(_copy(source, folder))
            wait_until_quiet()
            uploads.append(_upload(secure.sdk, source))
        after = _peak_bytes(secure.child.pid), _peak_bytes(agent.pid)
    mb_per_s, reference = ([SIZE_BYTES / 1e6 / took_s for took_s in s] for s in (uploads, copies))
    size = f"{SIZE_BYTES / 2**30:g} GiB"
    return [
        Row(
            measure=f"output of {size} from a site's disk to the server's, durable, over TLS",
            value=spread(mb_per_s, "MB/s"),
            reference=f"openssl s_client to s_server, fsync: {spread(reference, 'MB/s')}",
            ratio=median(mb_per_s) / median(reference),
            goal=0.7,
            more_is_better=True,
        ),
        Row(
            measure=f"most memory of the server during that (before: {before[0] / 2**20:.0f} MiB)",
            value=f"{after[0] / 2**20:.0f} MiB",
        ),
        Row(
            measure=f"most memory of the agent during that (before: {before[1] / 2**20:.0f} MiB)",
            value=f"{after[1] / 2**20:.0f} MiB",
        ),
    ]


def _make(source: Path) -> None:
    with source.open("wb") as file:
        for _ in range(SIZE_BYTES // 2**20):
            file.write(os.urandom(2**20))
        os.fsync(file.fileno())


def _upload(sdk: FlowServerSdk, source: Path) -> float:
    """Let a workload leave the file; return the seconds from its end until it can be read."""
    command = ["sh", "-c", f"cp {source} $FEDFLOW_OUTPUT_DIR/model"]
    name = f"outputs {time.monotonic_ns()}"
    template = sdk.template.create(name, "any:1", "/", command)["data"]["template_id"]
    parties = [{"federated_id": _PARTY, "federated_data": ""}]
    task_id = sdk.task.create(name, template, "", parties)["data"]["task_id"]
    sdk.task.start(task_id)
    ended = sdk.task.wait(task_id, timeout_s=_DEADLINE_S)["data"]
    began_s = time.monotonic()
    if ended["status"] != "Succeeded":
        raise BenchError(f"the workload ended as {ended}")
    while not (party := sdk.task.outputs(task_id)["data"]["parties"][0])["complete"]:
        if time.monotonic() - began_s > _DEADLINE_S:
            raise BenchError(f"the output did not come: {party}")
        time.sleep(_LOOK_S)
    took_s = time.monotonic() - began_s
    if party["bytes"] != SIZE_BYTES:
        raise BenchError(f"the output is not whole: {party}")
    sdk.task.delete(task_id)
    return took_s


def _copy(source: Path, folder: Path) -> float:
    """Send the file by openssl; return the seconds until the copy is on the disk."""
    certificate, key, target = folder / "copy.pem", folder / "copy.key", folder / "copy"
    if not certificate.exists():
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=copy", "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with target.open("wb") as file:
        receiver = subprocess.Popen(
            [
                "openssl", "s_server", "-quiet", "-naccept", "1", "-accept", f"127.0.0.1:{port}",
                "-cert", str(certificate), "-key", str(key),
            ],
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _until_listening(int(port))
            began_s = time.monotonic()
            # Neither of them ends with the file: without -quiet its bytes would be commands.
            sender = subprocess.Popen(
                ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"],
                stdin=source.open("rb"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            while target.stat().st_size < SIZE_BYTES and sender.poll() is None:
                time.sleep(_LOOK_S)
            os.fsync(file.fileno())
            took_s = time.monotonic() - began_s
            sender.kill()
            sender.wait()
        finally:
            receiver.kill()
            receiver.communicate()
    if target.stat().st_size != SIZE_BYTES:
        raise BenchError(f"openssl copied {target.stat().st_size} bytes of {SIZE_BYTES}")
    target.unlink()
    return took_s


def _until_listening(port: int) -> None:
    wanted = f":{port:04X}"
    deadline_s = time.monotonic() + 30
    # Nobody may connect to see: it takes one connection.
    while not any(
        line.split()[1].endswith(wanted) and line.split()[3] == "0A"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
    ):
        if time.monotonic() > deadline_s:
            raise BenchError("openssl does not listen")
        time.sleep(_LOOK_S)


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
