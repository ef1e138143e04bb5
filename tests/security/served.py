"""A secured server as a process of its own, so that its memory and its end can be watched."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import grpc

from flow_wire import templates_pb2 as pb
from flow_wire import templates_pb2_grpc
from tests.arch.repository import ROOT
from tests.certificates import make_pki

START_S = 60
ANSWER_S = 30


class ServerProcess:
    """`settings` are those of the server by name."""

    def __init__(self, folder, database_url, **settings):
        self._ready_file = folder / "ready.json"
        self.pki = make_pki(folder / "state")
        self.ca_pem = self.pki.ca_certificate.read_bytes()
        self.log = folder / "server.log"
        given = {"ready_file": self._ready_file, "pki_dir": self.pki.path, **settings}
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'sdk'}:{ROOT}",
            "FEDFLOW_DATABASE_URL": database_url,
            **{f"FEDFLOW_SERVER_{name.upper()}": str(value) for name, value in given.items()},
        }

    async def start(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220  returns at once
                [sys.executable, "-m", "flow_server_sdk.cli", "server",
                 "--port", "0", "--agents-port", "0", "--http-port", "0"],
                env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(START_S):
            while not self._ready_file.exists():
                assert self.process.poll() is None, self.log.read_text(errors="replace")
                await asyncio.sleep(0.05)
        ready = json.loads(self._ready_file.read_text())
        self.address, self.agents_address, self.http = ready["grpc"], ready["agents"], ready["http"]
        credentials = grpc.ssl_channel_credentials(self.ca_pem)
        self.users = grpc.aio.secure_channel(self.address, credentials)

    async def aclose(self):
        await self.users.close()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait)

    async def answers(self):
        """Have an honest call answered."""
        token = self.pki.admin_token.read_text().strip()
        await templates_pb2_grpc.TemplateServiceStub(self.users).List(
            pb.ListTemplatesRequest(),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=ANSWER_S,
        )

    def rss_bytes(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()
