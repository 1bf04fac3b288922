"""The contract of an asynchronous driver: that of :mod:`pg_lo_storage.drivers.base`, to be awaited.

The protocols are structural: an implementation need not inherit from them. A type checker names what yours lacks if a
function says that it is one::

    if TYPE_CHECKING:
        def _(driver: MyAsyncDriver) -> AsyncLargeObjectDriver:
            return driver

**Cancellation.** A call that is cancelled (``Task.cancel()``, :func:`asyncio.timeout`, a failing
:class:`asyncio.TaskGroup`) ends with no result pending on the connection, however often it is cancelled. Then the
connection is closed, or usable; if the server aborted the transaction, it must be rolled back first. Nobody knows
whether the server did what the call asked for.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import LiteralString, Protocol

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import AccessMode

__all__ = ["AsyncLargeObject", "AsyncLargeObjectDriver", "AsyncSQLExecutor", "AsyncTransactionalDriver"]


class AsyncSQLExecutor(Protocol):
    """Runs SQL by a driver's own rules; see :class:`SQLExecutor`."""

    __module__: str = "pg_lo_storage.aio"

    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders and return all its rows.

        The driver's own exceptions pass untranslated.
        """
        ...


class AsyncLargeObject(Protocol):
    """An open descriptor, valid until its transaction, or the savepoint it was opened under, ends.

    Staleness, positions, units and errors are those of :class:`LargeObject`.
    """

    __module__: str = "pg_lo_storage.aio"

    @property
    def oid(self) -> int:
        """The object's oid."""
        ...

    async def read(self, size: int) -> bytes:
        """Return ``size`` bytes from the current position, fewer only at the end of the object."""
        ...

    def chunks(self, size: int, count: int | None = None) -> AsyncIterator[bytes]:
        """Yield up to ``count`` blocks of ``size`` bytes, or all; the last may be shorter, none is empty.

        Blocks are fetched in bounded batches, and **no result is pending on the connection while the
        iterator is suspended**. An iterator left early leaves the position unspecified: seek.
        """
        ...

    async def write(self, data: Buffer) -> int:
        """Write all of ``data`` at the current position, in parts where it is large; return its length in bytes."""
        ...

    async def write_all(self, blocks: Iterable[Buffer] | AsyncIterable[Buffer]) -> int:
        """Write each block in turn and return the bytes written; ``blocks`` may use the connection."""
        ...

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Move by ``offset`` from the start (0), the position (1) or the end (2); return the new position."""
        ...

    async def tell(self) -> int:
        """Return the current position."""
        ...

    async def truncate(self, size: int) -> None:
        """Cut or extend (with zeros) to ``size`` bytes; the position stays."""
        ...

    async def close(self) -> None:
        """Release the descriptor; does nothing where it is closed or stale already."""
        ...


class AsyncLargeObjectDriver(Protocol):
    """The large-object calls of one asynchronous connection.

    A missing object never aborts the transaction.

    :raises LargeObjectNotFound: there is no such object, and the method does not return ``False`` for that.
    :raises LargeObjectConflict: another session unlinks the object at the same instant; this aborts the transaction.
    """

    __module__: str = "pg_lo_storage.aio"

    async def create(self, oid: int = 0) -> int:
        """Create an empty object and return its oid; the server picks one if ``oid`` is 0.

        :raises LargeObjectExists: ``oid`` is taken; the transaction stays usable.
        """
        ...

    async def from_bytes(self, data: Buffer) -> int:
        """Create an object with that content in one statement and return its oid."""
        ...

    async def open(self, oid: int, mode: AccessMode) -> AsyncLargeObject:
        """Open a descriptor at position 0; with autocommit off this begins a transaction, as any statement does.

        :raises NoTransactionError: the connection is in autocommit and in no transaction; nothing was sent.
        """
        ...

    async def unlink(self, oid: int) -> bool:
        """Delete the object; ``False`` where there was none."""
        ...

    async def exists(self, oid: int) -> bool:
        """Tell whether the object exists; any role may ask."""
        ...

    async def size(self, oid: int) -> int:
        """Return the object's size in bytes."""
        ...

    async def get(self, oid: int, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset`` in one statement; works in autocommit."""
        ...

    async def put(self, oid: int, offset: int, data: Buffer) -> None:
        """Write ``data`` at ``offset`` in one statement; works in autocommit."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now, as far as its last answer tells; nothing is sent."""
        ...

    @property
    def sql(self) -> AsyncSQLExecutor | None:
        """Runs SQL that must be in one statement with the object's; ``None`` if the driver has no SQL.

        A driver that changes bytes has ``None``, see :attr:`LargeObjectDriver.sql`.
        """
        ...


class AsyncTransactionalDriver(Protocol):
    """What a driver may offer in addition: a transaction of its own; see :class:`TransactionalDriver`."""

    __module__: str = "pg_lo_storage.aio"

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return what begins a transaction when it is entered, commits it at the end, and rolls back after an error.

        It is called where the connection is in autocommit and in no transaction. If entering it is cancelled, it leaves
        no transaction.
        """
        ...
