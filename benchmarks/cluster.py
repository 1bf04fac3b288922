"""The server of the benchmark: Debian's PostgreSQL, which syncs, and does not begin a checkpoint by itself."""

import os
from pathlib import Path

from benchmarks.building import PACKAGES, CannotBuild
from example.cluster import Cluster

SYSTEM_SERVERS = Path("/usr/lib/postgresql")
# Else as Debian has it. A checkpoint or a vacuum of the server's own would disturb whoever it meets.
OPTIONS = {
    "fsync": "on",
    "max_wal_size": "24GB",
    "checkpoint_timeout": "1d",
    "autovacuum": "off",
}


def open_cluster() -> Cluster:
    """Return the newest server there is, or that of ``PG_LO_TEST_BINDIR``; not started."""
    return Cluster(find_bindir(), [f"-c{name}={value}" for name, value in OPTIONS.items()])


def find_bindir() -> Path:
    """Return the folder of the server's programs."""
    if folder := os.environ.get("PG_LO_TEST_BINDIR"):
        return Path(folder)
    found = sorted(SYSTEM_SERVERS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise CannotBuild(f"no PostgreSQL in {SYSTEM_SERVERS}: {PACKAGES}, or set PG_LO_TEST_BINDIR")
    return found[-1].parent
