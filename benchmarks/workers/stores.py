"""The protocol that every contender in Python fits, and where each is found."""

import importlib
from collections.abc import Iterator
from typing import Protocol, cast

from benchmarks.jobs import Job


class Store(Protocol):
    """A way to keep files in, or out of, a database, on one connection."""

    def connect(self, job: Job) -> None:
        """Open a fresh connection with the job's parameters."""
        ...

    def disconnect(self) -> None:
        """Close it."""
        ...

    def backend(self) -> int | None:
        """Return the process that serves the connection, if any."""
        ...

    def chunks(self, name: str) -> Iterator[bytes | memoryview]:
        """Yield the file from its beginning, in the blocks that the contender takes by itself."""
        ...

    def read(self, name: str) -> bytes | memoryview:
        """Return the whole file."""
        ...

    def export(self, name: str, path: str) -> None:
        """Write the file to a file on disk."""
        ...

    def save(self, path: str) -> str:
        """Store a file of the disk, committed, and return its name."""
        ...

    def save_rows(self, count: int, size: int) -> None:
        """Save so many rows, each with a file of so many bytes, in one transaction."""
        ...

    def delete(self, name: str) -> None:
        """Delete the file."""
        ...


class RowStore(Store, Protocol):
    """A store whose files follow their rows."""

    def make_rows(self, count: int, size: int) -> None:
        """Have so many rows with files of so many bytes, for what follows, instead of those that there were."""
        ...

    def replace_row(self, size: int) -> None:
        """Give the next of these rows a new file."""
        ...

    def delete_row(self) -> None:
        """Delete the next of these rows, with its file."""
        ...


def get_store(job: Job) -> Store:
    """Return the store of that name; its module loads only where there is what it needs."""
    module = "lobject" if job.store == "lobject" else "django_storage"
    return cast("Store", importlib.import_module(f"benchmarks.workers.{module}").make_store(job))
