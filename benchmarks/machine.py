"""What is told of the machine; no names and no paths of it."""

import os
import platform

from benchmarks.contenders import BINARY_DATABASE_FILES, DB_FILE_STORAGE, OLD, OWN, OWN2
from benchmarks.measuring import Bench

TOLD = ("django", "psycopg", "psycopg2-binary", "gunicorn")


def describe(bench: Bench) -> dict[str, str]:
    """Return facts by name."""
    rows = bench.admin("select current_setting('server_version'), current_setting('shared_buffers')")
    version, buffers = map(str, rows[0])
    enumvals = bench.admin("select enumvals from pg_settings where name = 'default_toast_compression'")
    lz4 = "with lz4" if "lz4" in str(enumvals) else "without lz4"
    own = bench.workshop.versions(OWN) | bench.workshop.versions(OWN2)
    others: dict[str, str] = {}
    for environment in (OLD, DB_FILE_STORAGE, BINARY_DATABASE_FILES):
        installed = bench.workshop.versions(environment)
        name, _, release = environment.requirements[0].partition("==")
        others[name] = f"{release} on Django {installed['django']}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.machine()}, {platform.system()}",
        "PostgreSQL": f"{version.split()[0]}, shared_buffers {buffers}, {lz4}",
        "Python": bench.workshop.python_version(),
        **{name: own[name] for name in TOLD if name in own},
        **others,
    }
