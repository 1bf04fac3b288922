"""The operations that are measured, each on any store."""

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from benchmarks.jobs import Job
from benchmarks.workers.stores import RowStore, Store


@dataclass
class Outcome:
    """What came of one operation."""

    bytes: int = 0
    first_byte: float | None = None
    name: str = ""
    digest: str = ""
    began: float = field(default_factory=time.perf_counter)

    def took(self, size: int) -> None:
        """Count bytes that came."""
        if not self.bytes:
            self.first_byte = time.perf_counter() - self.began
        self.bytes += size


def run(store: Store, job: Job, name: str, path: str) -> Outcome:
    """Do the job's operation, to the stored file of that name or with the file at that path."""
    outcome = Outcome()
    if job.operation == "chunks":
        if job.check:
            return digest(store, name)
        for block in store.chunks(name):
            outcome.took(len(block))
    elif job.operation == "read":
        outcome.took(len(store.read(name)))
    elif job.operation == "export":
        target = Path(job.folder, "export.bin")
        store.export(name, str(target))
        outcome.bytes = target.stat().st_size
    elif job.operation == "save":
        outcome.name = store.save(path)
        outcome.bytes = Path(path).stat().st_size
    elif job.operation == "rows":
        store.save_rows(job.rows, job.size)
        outcome.bytes = job.rows * job.size
    elif job.operation == "replace":
        cast("RowStore", store).replace_row(job.size)
        outcome.bytes = job.size
    elif job.operation == "delete":
        cast("RowStore", store).delete_row()
        outcome.bytes = job.size
    return outcome


def digest(store: Store, name: str) -> Outcome:
    """Read the file to tell its sha256."""
    outcome, sha256 = Outcome(), hashlib.sha256()
    for block in store.chunks(name):
        sha256.update(block)
        outcome.took(len(block))
    outcome.digest = sha256.hexdigest()
    return outcome
