"""What the tests of file objects share."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from django.db import connections
from typing_extensions import Buffer

from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.fixtures.connections import RawConnection


class OpenFile(Protocol):
    """How a file is opened: ``LargeObjectIO`` on a driver, or ``DbFileIO``."""

    def __call__(self, oid: int = 0, mode: BinaryMode = "rb", /) -> LargeObjectIO: ...


@dataclass(frozen=True)
class Files:
    """A place to keep files."""

    driver: LargeObjectDriver
    open: OpenFile

    def stored(self, data: Buffer) -> int:
        """Return the oid of a new object with that content."""
        return self.driver.from_bytes(data)

    def content(self, oid: int) -> bytes:
        """Return what the object holds, read without a file."""
        return self.driver.get(oid, 0, self.driver.size(oid))


def numbered_lines(size: int, length: int = 20) -> bytes:
    """Return ``size`` bytes of lines that are numbered, so that no two blocks are equal."""
    count = size // (length + 1) + 1
    return b"".join(b"%0*d\n" % (length, number) for number in range(count))[:size]


def execute(connection: RawConnection, query: str) -> None:
    """Run a statement that returns no rows."""
    cursor = connection.cursor()
    cursor.execute(query)
    cursor.close()


def in_a_thread(call: Callable[[], object]) -> object:
    """Run ``call`` in a thread of its own, with connections of its own, and give what it gave or raised."""
    results: list[object] = []

    def target() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001 -- handed to the test
            results.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return results[0]
