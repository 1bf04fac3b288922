"""The driver of SQLAlchemy's connections and sessions."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, LiteralString, TypeVar, cast

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, scoped_session
from typing_extensions import Buffer, override

from pg_lo_storage.aio.blocking import BlockingLargeObject
from pg_lo_storage.contrib.sqlalchemy.links import Link, Used, blocking_driver
from pg_lo_storage.drivers import bulk
from pg_lo_storage.drivers.base import (
    AccessMode,
    LargeObject,
    LargeObjectDriver,
    Sink,
    SQLExecutor,
    StreamingLargeObject,
)
from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.transactions import transaction

__all__ = ["SQLAlchemyDriver", "SQLAlchemyLargeObject"]

T = TypeVar("T")


class SQLAlchemyDriver:
    """Large objects over a connection or session of SQLAlchemy's, in its transaction.

    Each call goes to the driver of the connection that is used now, and begins the transaction as a statement of
    SQLAlchemy's does. What is no error of this package is SQLAlchemy's.
    """

    __module__ = "pg_lo_storage.contrib.sqlalchemy"

    def __init__(self, connection: Connection | Session | scoped_session[Session]) -> None:
        target = connection() if isinstance(connection, scoped_session) else connection
        self._link = Link(target, blocking_driver)

    @contextlib.contextmanager
    def _session(self) -> Generator[LargeObjectDriver]:
        used = self._link.begun()
        with used.handling_errors():
            yield used.driver

    @property
    def sql(self) -> SQLExecutor | None:
        """See :attr:`LargeObjectDriver.sql`."""
        with self._session() as driver:
            return SQLAlchemySQL(self._link) if isinstance(driver.sql, SQLDriver) else driver.sql

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        used = self._link.current()
        return used is not None and used.driver.in_transaction

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        with self._session() as driver:
            return driver.create(oid)

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        with self._session() as driver:
            return driver.from_bytes(data)

    def open(self, oid: int, mode: AccessMode) -> "SQLAlchemyLargeObject":
        """See :meth:`LargeObjectDriver.open`."""
        used = self._link.begun()
        with used.handling_errors():
            opened = used.driver.open(oid, mode)
        if bulk.streams(type(opened), "read"):
            return StreamingSQLAlchemyLargeObject(used, opened)
        return SQLAlchemyLargeObject(used, opened)

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        with self._session() as driver:
            return driver.unlink(oid)

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        with self._session() as driver:
            return driver.exists(oid)

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        with self._session() as driver:
            return driver.size(oid)

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        with self._session() as driver:
            return driver.get(oid, offset, size)

    def stream(self, oid: int, offset: int, size: int, sink: Sink, block: int) -> int:
        """See :meth:`StreamingDriver.stream`."""
        with self._session() as driver:
            return bulk.stream(driver, oid, offset, size, sink, block=block)

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        with self._session() as driver:
            driver.put(oid, offset, data)

    def transaction(self) -> AbstractContextManager[object]:
        """See :meth:`TransactionalDriver.transaction`."""
        return transaction(self._link.begun().driver)


class SQLAlchemySQL(SQLDriver):
    """The SQL of a driver that has some, by the rules of :class:`SQLAlchemyDriver`."""

    def __init__(self, link: Link[LargeObjectDriver]) -> None:
        self._link = link

    @contextlib.contextmanager
    def _session(self) -> Generator[SQLDriver]:
        used = self._link.begun()
        with used.handling_errors():
            yield cast("SQLDriver", used.driver.sql)

    @property
    @override
    def in_transaction(self) -> bool:
        used = self._link.current()
        return used is not None and used.driver.in_transaction

    @property
    @override
    def autocommit(self) -> bool:
        return self._link.begun().is_autocommit

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return sqlstate_of(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._session() as sql:
            return sql.execute(query, params)

    @override
    def perform(self, statement: Statement[T]) -> T:
        with self._session() as sql:
            return sql.perform(statement)

    @override
    def perform_all(self, statements: Iterable[Statement[T]]) -> list[T]:
        with self._session() as sql:
            return sql.perform_all(statements)

    @property
    @override
    def is_streaming(self) -> bool:
        with self._session() as sql:
            return sql.is_streaming

    @override
    def perform_streaming(self, statement: Statement[T], sink: Sink) -> T:
        with self._session() as sql:
            return sql.perform_streaming(statement, sink)


class SQLAlchemyLargeObject:
    """A descriptor that is stale, too, once its connection is back in the pool."""

    def __init__(self, used: Used[LargeObjectDriver], wrapped: LargeObject) -> None:
        self._used = used
        self._wrapped = wrapped

    @property
    def oid(self) -> int:
        """See :attr:`LargeObject.oid`."""
        return self._wrapped.oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        with self._session() as wrapped:
            return wrapped.read(size)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        blocks = self._wrapped.chunks(size, count)
        while True:
            with self._session():
                block = next(blocks, None)
            if block is None:
                return
            yield block

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        with self._session() as wrapped:
            return wrapped.write(data)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        if isinstance(self._wrapped, BlockingLargeObject):
            # A call that is awaited must not wait for a block that another one gives.
            return sum(map(self.write, blocks))
        with self._session() as wrapped:
            return wrapped.write_all(blocks)

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        with self._session() as wrapped:
            return wrapped.seek(offset, whence)

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        with self._session() as wrapped:
            return wrapped.tell()

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        with self._session() as wrapped:
            wrapped.truncate(size)

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        if self._used.is_current:
            with self._used.handling_errors():
                self._wrapped.close()

    @contextlib.contextmanager
    def _session(self) -> Generator[LargeObject]:
        self._used.check(self.oid)
        with self._used.handling_errors():
            yield self._wrapped


class StreamingSQLAlchemyLargeObject(SQLAlchemyLargeObject):
    """The same for a descriptor that streams."""

    def stream(self, size: int, sink: Sink) -> int:
        """See :meth:`StreamingLargeObject.stream`."""
        with self._session() as wrapped:
            return cast("StreamingLargeObject", wrapped).stream(size, sink)


if TYPE_CHECKING:
    _driver: type[LargeObjectDriver] = SQLAlchemyDriver
    _descriptor: type[LargeObject] = SQLAlchemyLargeObject
