"""The contract of a driver: what the rest of the package asks of one database connection.

The protocols are structural, an implementation need not inherit from them. To have a type checker verify
yours, assign it once::

    if TYPE_CHECKING:
        _: type[LargeObjectDriver] = MyDriver

PostgreSQL's side: https://www.postgresql.org/docs/current/largeobjects.html
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, LiteralString, Protocol, TypeAlias, runtime_checkable

from typing_extensions import Buffer

__all__ = [
    "MAX_BLOCK",
    "MAX_SIZE",
    "AccessMode",
    "LargeObject",
    "LargeObjectDriver",
    "SQLExecutor",
    "Sink",
    "StreamingDriver",
    "StreamingLargeObject",
]

MAX_SIZE: Final = (2**31 - 1) * 2048
"""The most bytes a large object can hold (``MAX_LARGE_OBJECT_SIZE`` of the server), a little less than 4 TiB."""

MAX_BLOCK: Final = 1 << 20
"""The most bytes to pass in one parameter: psycopg's cost grows with the square of a parameter's length."""


class AccessMode(enum.IntFlag):
    """What a descriptor is opened for; the values are the server's ``INV_WRITE`` and ``INV_READ``.

    ``READ`` alone keeps the snapshot of its opening, even after another session unlinks the object;
    with ``WRITE`` the latest committed state is seen.
    """

    __module__ = "pg_lo_storage.drivers"

    WRITE = 0x20000
    READ = 0x40000
    READ_WRITE = 0x60000


class SQLExecutor(Protocol):
    """Runs SQL by a driver's own rules: binary where it can, past any framework's cursor and query log."""

    __module__: str = "pg_lo_storage.drivers"

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders and return all its rows.

        Raises the driver's own exceptions, untranslated.
        """
        ...


class LargeObject(Protocol):
    """An open descriptor, valid until its transaction, or the savepoint it was opened under, ends.

    Used after that, or after its own transaction unlinked the object, every method but ``close`` raises
    :exc:`StaleLargeObject`, and the transaction that is current then stays usable: it never reaches another object
    through a reused descriptor number. A position out of range (ValueError before the start, LargeObjectTooLarge past
    the end) and writing to what is open for reading (:exc:`io.UnsupportedOperation`) leave it usable as well.
    Offsets and sizes are in bytes, up to :data:`MAX_SIZE`. Errors: see :mod:`pg_lo_storage.exceptions`;
    what none of them fits is the driver's own exception.
    """

    __module__: str = "pg_lo_storage.drivers"

    @property
    def oid(self) -> int:
        """The object's oid."""
        ...

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes from the current position, fewer only at the end of the object."""
        ...

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """Yield up to ``count`` blocks of ``size`` bytes, or all; the last may be shorter, none is empty.

        Blocks are fetched in bounded batches, and **no result is pending on the connection while the
        iterator is suspended**. An iterator left early leaves the position unspecified: seek.
        """
        ...

    def write(self, data: Buffer) -> int:
        """Write all of ``data`` at the current position, in parts where it is large; return its length in bytes."""
        ...

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """Write each block in turn and return the bytes written; ``blocks`` may use the connection."""
        ...

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move by ``offset`` from the start (0), the position (1) or the end (2); return the new position."""
        ...

    def tell(self) -> int:
        """Return the current position."""
        ...

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros) to ``size`` bytes; the position stays."""
        ...

    def close(self) -> None:
        """Release the descriptor; does nothing where it is closed or stale already."""
        ...


class LargeObjectDriver(Protocol):
    """The large-object calls of one DB-API connection.

    A missing object never aborts the transaction: it is :exc:`LargeObjectNotFound`, or ``False``.
    Where another session unlinks it at the same instant the server does abort: :exc:`LargeObjectConflict`.
    """

    __module__: str = "pg_lo_storage.drivers"

    def create(self, oid: int = 0) -> int:
        """Create an empty object, of that oid or (0) of one the server picks, and return its oid.

        Raises :exc:`LargeObjectExists` where ``oid`` is taken; the transaction stays usable.
        """
        ...

    def from_bytes(self, data: Buffer) -> int:
        """Create an object with that content in one statement and return its oid."""
        ...

    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        """Open a descriptor at position 0.

        Raises :exc:`NoTransactionError`, before anything is sent, where the connection is in autocommit
        and in no transaction; with autocommit off the call begins one, as any statement does.
        """
        ...

    def unlink(self, oid: int) -> bool:
        """Delete the object; ``False`` where there was none."""
        ...

    def exists(self, oid: int) -> bool:
        """Tell whether the object exists; any role may ask."""
        ...

    def size(self, oid: int) -> int:
        """Return the object's size in bytes."""
        ...

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset`` in one statement; works in autocommit."""
        ...

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """Write ``data`` at ``offset`` in one statement; works in autocommit."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now, whatever the connection's autocommit says."""
        ...

    @property
    def sql(self) -> SQLExecutor | None:
        """For SQL that belongs in one statement with the object; ``None`` where the driver has no SQL."""
        ...


Sink: TypeAlias = Callable[[Buffer], object]
"""Is handed blocks while a statement runs, such as the ``write`` of a file: it must not use the connection."""


@runtime_checkable
class StreamingDriver(Protocol):
    """What a driver may have beside the methods of :class:`LargeObjectDriver`: large reads by one statement."""

    def stream(self, oid: int, offset: int, size: int, sink: Sink, block: int) -> int:
        """Hand ``size`` bytes at ``offset``, fewer only at the end, to ``sink`` in blocks of ``block`` bytes.

        One statement, and so one snapshot; works in autocommit. Returns the number of bytes. What ``sink`` raises is
        raised once the statement has ended, which it does not abort.
        """
        ...


@runtime_checkable
class StreamingLargeObject(Protocol):
    """What a descriptor may have beside the methods of :class:`LargeObject`: large reads without a wait a block."""

    def stream(self, size: int, sink: Sink) -> int:
        """Hand the next ``size`` bytes, fewer only at the end, to ``sink``; return how many, see StreamingDriver."""
        ...
