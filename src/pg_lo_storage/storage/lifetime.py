"""How long files stay open on Django's connections, where others end transactions and savepoints."""

from typing import TYPE_CHECKING

from typing_extensions import override

from pg_lo_storage.catalogue import whole
from pg_lo_storage.drivers import AccessMode
from pg_lo_storage.io.buffered import BufferedLargeObject
from pg_lo_storage.io.lifetime import Lifetime, over

if TYPE_CHECKING:
    from pg_lo_storage.catalogue import Found
    from pg_lo_storage.databases import DatabaseDriver

__all__ = ["OfAtomicBlock", "OfRemembered", "open_found"]


class OfAtomicBlock(Lifetime):
    """The lifetime of a descriptor: until its transaction ends, or an earlier savepoint is rolled back."""

    def __init__(self, database: "DatabaseDriver", oid: int, opened: BufferedLargeObject) -> None:
        self._database = database
        self._oid = oid
        self._opened = opened
        self._marker = database.transaction_marker

    @override
    def check(self) -> None:
        if not self._database.in_transaction:
            raise over(self._oid)
        descriptor, marker = self._opened.descriptor, self._database.transaction_marker
        if marker is not self._marker and descriptor is not None:
            # A transaction or a savepoint has ended: drop the buffer. tell() raises where the descriptor is closed.
            self._opened.drop()
            descriptor.tell()
            self._marker = marker


class OfRemembered(Lifetime):
    """The lifetime of a small file that was read whole in an atomic block, without a descriptor."""

    def __init__(self, database: "DatabaseDriver", found: "Found") -> None:
        self._database = database
        self._found: Found | None = found
        self._marker = database.transaction_marker

    @override
    def check(self) -> None:
        marker = self._database.transaction_marker
        if marker is self._marker or (found := self._found) is None:
            return
        version = found.entry.version if found.entry else None
        is_open = whole.is_open(self._database, found.loid, found.remembered, version)
        if is_open is None:
            self._found = None  # nothing can end it any more
        elif not is_open:
            raise over(found.loid)
        self._marker = marker


def open_found(found: "Found") -> tuple["DatabaseDriver", BufferedLargeObject, Lifetime]:
    """Open for reading a file that was found; return it with the driver that opened it, and its lifetime."""
    database = found.database.of_transaction()
    is_whole = len(found.start) == found.size
    is_remembered = is_whole and found.remembered.token
    descriptor = None
    if not is_remembered and (database.bound or database.in_transaction):
        descriptor = database.open(found.loid, AccessMode.READ)
    opened = BufferedLargeObject(database, found.loid, descriptor)
    if is_whole:
        opened.filled_whole(found.start)
    if is_remembered:
        # Reads see the file as it was when it was opened, as with a descriptor.
        opened.content = found.start
        return database, opened, OfRemembered(database, found)
    return database, opened, Lifetime() if descriptor is None else OfAtomicBlock(database, found.loid, opened)
