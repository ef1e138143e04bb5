"""What the figures were measured on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.processes import Server


def machine(server: Server, *, load: float) -> str:
    """Return one paragraph: date, load, processor, memory, kernel, Python, engine, PostgreSQL."""
    parts = (
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{len(os.sched_getaffinity(0))} cores of {_processor()}",
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB memory",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"Docker Engine {_engine()}",
        f"PostgreSQL {_postgres(server)} (embedded, durable)",
        f"load average before the run {load:.1f}",
    )
    return ", ".join(parts) + "."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _engine() -> str:
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "none"


def _postgres(server: Server) -> str:
    version = server.state_dir / "postgres" / "cluster" / "PG_VERSION"
    return version.read_text().strip()
