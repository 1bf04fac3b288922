"""The driver over large objects in memory: tests without a server, and an oracle for other drivers."""

import contextlib
import io
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.values import byte_view, check_mode, check_offset, check_oid
from pg_lo_storage.exceptions import (
    LargeObjectConflict,
    LargeObjectExists,
    LargeObjectNotFound,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.testing.memory.connection import InMemoryConnection
from pg_lo_storage.testing.memory.content import EMPTY, Content
from pg_lo_storage.testing.memory.server import InMemoryError, Transaction

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["InMemoryDriver", "InMemoryLargeObject"]


class InMemoryDriver:
    """The :class:`LargeObjectDriver` of an :class:`InMemoryConnection`, by default a new one.

    Unlike on PostgreSQL, a second writer of an object gets a :exc:`LargeObjectConflict` at once instead of waiting.
    So does a write through a descriptor of an object that another session has unlinked, which PostgreSQL loses
    silently. There are no roles, and no SQL.
    """

    __module__ = "pg_lo_storage.testing"

    def __init__(self, connection: InMemoryConnection | None = None) -> None:
        self.connection: InMemoryConnection = connection or InMemoryConnection()
        """Where to commit and roll back."""

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        return self.connection.in_transaction

    @property
    def sql(self) -> None:
        """There is none."""
        return

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """See :meth:`TransactionalDriver.transaction`."""
        self.connection.begin()
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        if oid:
            check_oid(oid)
        with self.connection.statement() as transaction:
            oid = oid or self.connection.server.new_oid()
            if transaction.find(oid) is not None:
                message = f"large object {oid} exists already"
                raise LargeObjectExists(message, oid=oid)
            transaction.change(oid, EMPTY)
            return oid

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        content = EMPTY.written(0, byte_view(data))
        with self.connection.statement() as transaction:
            oid = self.connection.server.new_oid()
            transaction.change(oid, content)
            return oid

    def open(self, oid: int, mode: AccessMode) -> "InMemoryLargeObject":
        """See :meth:`LargeObjectDriver.open`."""
        check_oid(oid)
        check_mode(mode)
        if self.connection.autocommit and not self.in_transaction:
            message = f"large object {oid} is opened outside a transaction: turn autocommit off, or begin a transaction"
            raise NoTransactionError(message, oid=oid)
        with self.connection.statement() as transaction:
            descriptor = InMemoryLargeObject(self.connection, oid, mode, _existing(transaction, oid))
            transaction.descriptors.add(descriptor)
            return descriptor

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        with self.connection.statement() as transaction:
            if transaction.find(oid) is None:
                return False
            transaction.change(oid, None)
            return True

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        with self.connection.statement() as transaction:
            return transaction.find(oid) is not None

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        with self.connection.statement() as transaction:
            return _existing(transaction, oid).size

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        check_offset(offset, oid)
        _check_length(size)
        with self.connection.statement() as transaction:
            return _existing(transaction, oid).read(offset, size)

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        view = byte_view(data)
        check_offset(offset, oid)
        check_offset(offset + len(view), oid)
        with self.connection.statement() as transaction:
            content = _existing(transaction, oid)
            if view:
                transaction.change(oid, content.written(offset, view))


class InMemoryLargeObject:
    """A descriptor of the connection's current transaction; see :class:`LargeObject`."""

    def __init__(self, connection: InMemoryConnection, oid: int, mode: AccessMode, snapshot: Content) -> None:
        self._connection = connection
        self._oid = oid
        self._writable = bool(mode & AccessMode.WRITE)
        self._snapshot = snapshot
        self._position = 0
        self._closed = False

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        _check_length(size)
        with self._used() as transaction:
            data = self._content(transaction).read(self._position, size)
            self._position += len(data)
            return data

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        done = 0
        while (count is None or done < count) and (block := self.read(size)):
            yield block
            done += 1

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        view = byte_view(data)
        with self._used() as transaction:
            current = self._current(transaction)
            if view:
                end = check_offset(self._position + len(view), self._oid)
                transaction.change(self._oid, current.written(self._position, view))
                self._position = end
            return len(view)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        return sum(map(self.write, blocks))

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        if whence not in {0, 1, 2}:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        if whence == 0:
            check_offset(offset, self._oid)
        with self._used() as transaction:
            base = (0, self._position, self._content(transaction).size)[whence]
            self._position = check_offset(base + offset, self._oid)
            return self._position

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        with self._used():
            return self._position

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        if self._writable:
            check_offset(size, self._oid)
        with self._used() as transaction:
            transaction.change(self._oid, self._current(transaction).truncated(size))

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        self._closed = True

    @contextlib.contextmanager
    def _used(self) -> Generator[Transaction]:
        if self._closed or not self._connection.in_transaction:
            raise self._stale()
        with self._connection.statement() as transaction:
            if self not in transaction.descriptors:
                raise self._stale()
            yield transaction

    def _content(self, transaction: Transaction) -> Content:
        return (transaction.find(self._oid) or EMPTY) if self._writable else self._snapshot

    def _current(self, transaction: Transaction) -> Content:
        """Return the content that is to be changed."""
        if not self._writable:
            message = f"large object {self._oid} is not open for writing"
            raise io.UnsupportedOperation(message)
        if (content := transaction.find(self._oid)) is None:
            message = f"another session unlinked large object {self._oid} at the same time; try again"
            raise LargeObjectConflict(message, oid=self._oid) from InMemoryError("tuple concurrently deleted")
        return content

    def _stale(self) -> StaleLargeObject:
        message = (
            f"large object {self._oid} was closed or unlinked, or opened in a transaction or savepoint that is over:"
            " open it again in this one"
        )
        return StaleLargeObject(message, oid=self._oid)


def _existing(transaction: Transaction, oid: int) -> Content:
    if (content := transaction.find(oid)) is None:
        message = f"large object {oid} does not exist"
        raise LargeObjectNotFound(message, oid=oid)
    return content


def _check_length(size: int) -> None:
    if size < 0:
        message = f"a block has 0 bytes or more, not {size}"
        raise ValueError(message)


if TYPE_CHECKING:

    def _(driver: InMemoryDriver, descriptor: InMemoryLargeObject) -> tuple[LargeObjectDriver, LargeObject]:
        return driver, descriptor
