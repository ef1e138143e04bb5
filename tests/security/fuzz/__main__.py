"""`make fuzz`: a whole run on an embedded PostgreSQL. Exit 1 if anything was found."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from flow_server.storage.embedded import EmbeddedPostgres
from tests.postgres import SETTINGS, Cluster
from tests.security.fuzz import campaign


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began_s = time.monotonic()
    # Not below the system's own: PostgreSQL runs as another account.
    folder = Path(tempfile.mkdtemp(prefix="fedflow-fuzz-"))
    postgres = EmbeddedPostgres(folder / "postgres", extra_settings=SETTINGS)
    folder.chmod(0o711)
    try:
        cluster = Cluster(asyncio.run(postgres.start()))
        url = cluster.url(cluster.create(migrated=True))
        findings = asyncio.run(campaign.run(url, folder, seed=options.seed, count=options.count))
    finally:
        asyncio.run(postgres.aclose())
        shutil.rmtree(folder)
    print("\n".join(findings.table()))
    print(f"memory grew by {findings.grown_bytes >> 20} MiB in {time.monotonic() - began_s:.0f} s")
    for line in findings.found:
        print("FOUND", line, file=sys.stderr)
    return 1 if findings.found else 0


if __name__ == "__main__":
    raise SystemExit(main())
