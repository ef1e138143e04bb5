"""Agents as processes of their own, for what only a process can show: signals, pipes, kills."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import party_agent

ROOT = Path(party_agent.__file__).parent.parent
START = "from party_agent.cli import agent; agent()"


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "sdk"), str(ROOT)])}


@asynccontextmanager
async def agent_process(server, path, *options, runtime="memory", stderr=subprocess.DEVNULL):
    """An agent of `server` with its state below `path`; killed if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            START,
            "--insecure",
            "--server",
            server.address,
            "--party",
            "hospital-a",
        ),
        *("--runtime", runtime, "--state-dir", str(path / "state"), *options),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
