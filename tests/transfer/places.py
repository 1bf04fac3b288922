"""A connection of any kind, and the package's functions on it, to be called in the same way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import pg_lo_storage
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.drivers import LargeObjectDriver
from tests.io.files import numbered_lines

T = TypeVar("T")

LINES = numbered_lines(3_000_000)
SIZES = [0, 1, 262_144, 262_145, 1 << 20, (1 << 20) + 1, len(LINES)]


class Place:
    """What is awaited on an asynchronous connection, is awaited here."""

    def __init__(
        self, connection: Any, driver: LargeObjectDriver, result_of: Callable[[Any], Any], *, autocommit: bool
    ) -> None:
        self.connection = connection
        self.driver = driver
        self.result_of = result_of
        self.autocommit = autocommit
        self.driver_type: type = driver.awaited.__class__ if isinstance(driver, BlockingDriver) else driver.__class__

    def save(self, content: Any) -> int:
        oid: int = self.result_of(pg_lo_storage.save(self.connection, content))
        return oid

    def load(self, oid: int) -> bytes:
        data: bytes = self.result_of(pg_lo_storage.load(self.connection, oid))
        return data

    def copy(self, oid: int) -> int:
        copied: int = self.result_of(pg_lo_storage.copy(self.connection, oid))
        return copied

    def lo_export(self, oid: int, path: str | Path, progress: Callable[[int, int], object] | None = None) -> int:
        size: int = self.result_of(pg_lo_storage.lo_export(self.connection, oid, path, progress=progress))
        return size

    def lo_import(self, path: str | Path, progress: Callable[[int, int], object] | None = None) -> int:
        oid: int = self.result_of(pg_lo_storage.lo_import(self.connection, path, progress=progress))
        return oid

    def content(self, oid: int) -> bytes:
        """Return what the object holds, in one statement."""
        return self.driver.get(oid, 0, self.driver.size(oid))

    def execute(self, query: LiteralString) -> list[tuple[object, ...]]:
        """Run SQL."""
        assert self.driver.sql is not None
        return self.driver.sql.execute(query)


class Failing(Exception):
    """What goes wrong in the middle."""


def parts(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
