"""A server with TLS, and sites that are enrolled there: as users have them."""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, BenchError, Child, Server, child, fedflow
from flow_server_sdk import FlowServerSdk


@dataclass(frozen=True, kw_only=True)
class SecureServer:
    """One over the database of a plain one. `sdk` is an administrator's; all end with `stack`."""

    sdk: FlowServerSdk
    child: Child
    address: str
    place: Path
    stack: contextlib.ExitStack

    @property
    def state_dir(self) -> Path:
        """Where it keeps what it keeps."""
        return self.place / "state"

    def site(self, party: str, *more: str) -> Child:
        """Enrol a party and start its agent, with the process runtime and `more` options."""
        enrolment = self.sdk.party.add(party)["data"]["enrolment_token"]
        state_dir, ready = self.place / party, self.place / f"{party}.json"
        _run(
            [
                "agent",
                "enrol",
                "--server",
                self.address,
                "--token",
                "-",
                "--state-dir",
                str(state_dir),
            ],
            given=enrolment,
        )
        arguments = [*fedflow(), "agent", "--state-dir", str(state_dir), "--runtime", "process"]
        arguments += ["--on-exit", "stop", "--ready-file", str(ready), *more]
        agent = child(self.stack, f"agent-{party}", arguments, self.place)
        agent.ready(ready)
        return agent


def secure_server(
    stack: contextlib.ExitStack, server: Server, folder: Path, *more: str
) -> SecureServer:
    """Start one; `more` are further options of `fedflow server`."""
    place = folder / "secure"
    place.mkdir()
    pki, ready_file = place / "state" / "pki", place / "server.json"
    _run(["server", "init", "--state-dir", str(place / "state"), "--name", "127.0.0.1"])
    arguments = [*fedflow(), "server", "--database-url", server.database_url, *more]
    arguments += ["--state-dir", str(place / "state"), "--ready-file", str(ready_file)]
    arguments += ["--port", "0", "--agents-port", "0", "--http-port", "0"]
    started = child(stack, "secure-server", arguments, folder)
    address = str(started.ready(ready_file)["grpc"])
    host, _, port = address.rpartition(":")
    token = (pki / "admin.token").read_text().strip()
    sdk = stack.enter_context(FlowServerSdk(host, port, token=token, ca=pki / "ca.pem"))
    return SecureServer(sdk=sdk, child=started, address=address, place=place, stack=stack)


def _run(arguments: list[str], *, given: str = "") -> None:
    done = subprocess.run(
        [sys.executable, *fedflow(), *arguments],
        input=given, capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'sdk'}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"fedflow {' '.join(arguments)}: {done.stderr}")
