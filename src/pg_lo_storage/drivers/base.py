"""The contract of a driver: what the rest of the package asks of one database connection.

The protocols are structural: an implementation need not inherit from them. A type checker names what yours lacks if a
function says that it is one::

    if TYPE_CHECKING:
        def _(driver: MyDriver) -> LargeObjectDriver:
            return driver

PostgreSQL's side: https://www.postgresql.org/docs/current/largeobjects.html
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, LiteralString, Protocol, TypeAlias

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
    "TransactionalDriver",
]

MAX_SIZE: Final = (2**31 - 1) * 2048
"""The most bytes a large object can hold (``MAX_LARGE_OBJECT_SIZE`` of the server), a little less than 4 TiB."""

MAX_BLOCK: Final = 1 << 20
"""The most bytes to pass in one parameter: psycopg's cost grows with the square of a parameter's length."""


class AccessMode(enum.IntFlag):
    """What a descriptor is opened for; the values are the server's ``INV_WRITE`` and ``INV_READ``.

    With ``READ`` alone a descriptor keeps the snapshot of its opening, even after another session unlinks the object;
    with ``WRITE`` it sees the latest committed state.
    """

    __module__ = "pg_lo_storage.drivers"

    WRITE = 0x20000
    READ = 0x40000
    READ_WRITE = 0x60000


class SQLExecutor(Protocol):
    """Runs SQL by a driver's own rules: in binary where it can, past the cursors of any framework."""

    __module__: str = "pg_lo_storage.drivers"

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders and return all its rows.

        The driver's own exceptions pass untranslated.
        """
        ...


class LargeObject(Protocol):
    """An open descriptor, valid until its transaction, or the savepoint it was opened under, ends.

    It never reaches another object through a reused descriptor number. Offsets and sizes are in bytes, up to
    :data:`MAX_SIZE`. The errors below leave the current transaction usable. Others: see
    :mod:`pg_lo_storage.exceptions`; where none of those fits, the driver's own exception passes.

    :raises StaleLargeObject: a method but ``close`` is called after that end, or after the transaction unlinked the
        object.
    :raises ValueError: a position is before the start.
    :raises LargeObjectTooLarge: a position is past :data:`MAX_SIZE`.
    :raises io.UnsupportedOperation: the descriptor is written to, and is open for reading only.
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

    A missing object never aborts the transaction.

    :raises LargeObjectNotFound: there is no such object, and the method does not return ``False`` for that.
    :raises LargeObjectConflict: another session unlinks the object at the same instant; this aborts the transaction.
    """

    __module__: str = "pg_lo_storage.drivers"

    def create(self, oid: int = 0) -> int:
        """Create an empty object and return its oid; the server picks one if ``oid`` is 0.

        :raises LargeObjectExists: ``oid`` is taken; the transaction stays usable.
        """
        ...

    def from_bytes(self, data: Buffer) -> int:
        """Create an object with that content in one statement and return its oid."""
        ...

    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        """Open a descriptor at position 0; with autocommit off this begins a transaction, as any statement does.

        :raises NoTransactionError: the connection is in autocommit and in no transaction; nothing was sent.
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
        """Runs SQL that must be in one statement with the object's; ``None`` if the driver has no SQL.

        Such SQL writes and reads content past the other methods. So **a driver that changes bytes, for example one
        that encrypts them, has** ``sql = None``: all content then goes through its methods, and sizes are theirs.
        """
        ...


class TransactionalDriver(Protocol):
    """What a driver may offer in addition to :class:`LargeObjectDriver`: a transaction of its own.

    It is looked for in the driver's class. A driver that has SQL needs it not: ``BEGIN`` is sent by that.
    """

    __module__: str = "pg_lo_storage.drivers"

    def transaction(self) -> AbstractContextManager[object]:
        """Return what begins a transaction when it is entered, commits it at the end, and rolls back after an error.

        It is called where the connection is in autocommit and in no transaction.
        """
        ...


Sink: TypeAlias = Callable[[Buffer], object]
"""Takes blocks while a statement runs, as the ``write`` of a file does; it must not use the connection."""


class StreamingDriver(Protocol):
    """What a driver may offer in addition to :class:`LargeObjectDriver`: large reads by one statement.

    It is looked for in the driver's class: what ``__getattr__`` passes on would read past a wrapper's own methods.
    """

    __module__: str = "pg_lo_storage.drivers"

    def stream(self, oid: int, offset: int, size: int, sink: Sink, block: int) -> int:
        """Hand ``size`` bytes at ``offset``, fewer only at the end, to ``sink`` in blocks of ``block`` bytes.

        It is one statement, and so one snapshot; it works in autocommit. Returns the number of bytes. An exception of
        ``sink`` does not abort the statement: it is raised once that has ended.
        """
        ...


class StreamingLargeObject(Protocol):
    """What a descriptor may offer in addition to :class:`LargeObject`: large reads without a wait for each block.

    It is looked for in the descriptor's class.
    """

    __module__: str = "pg_lo_storage.drivers"

    def stream(self, size: int, sink: Sink) -> int:
        """Hand the next ``size`` bytes, fewer only at the end, to ``sink``; see :meth:`StreamingDriver.stream`."""
        ...
