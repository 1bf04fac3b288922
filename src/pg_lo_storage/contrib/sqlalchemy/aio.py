"""The driver of SQLAlchemy's asynchronous connections and sessions."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, LiteralString, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from typing_extensions import Buffer, override

from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver, AsyncSQLExecutor
from pg_lo_storage.aio.opening import is_begun, transaction
from pg_lo_storage.aio.registry import get_async_driver
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.contrib.sqlalchemy.links import Link, Used, raw_of
from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.drivers.queries import Statement

__all__ = ["AsyncSQLAlchemyDriver", "AsyncSQLAlchemyLargeObject"]

T = TypeVar("T")


class AsyncLink:
    """A :class:`Link` whose connection is awaited."""

    def __init__(self, target: AsyncConnection | AsyncSession) -> None:
        self._target = target
        self._link: Link[AsyncLargeObjectDriver] | None = None

    async def begun(self) -> Used[AsyncLargeObjectDriver]:
        """See :meth:`Link.begun`."""
        target = self._target
        if self._link is None:
            sync = target.sync_session if isinstance(target, AsyncSession) else await target.run_sync(lambda it: it)
            self._link = Link(sync, _driver_of)
        link = self._link
        return await target.run_sync(lambda _: link.begun())

    def known(self) -> Used[AsyncLargeObjectDriver] | None:
        """See :meth:`Link.known`."""
        return None if self._link is None else self._link.known()

    @asynccontextmanager
    async def handling_errors(self, used: Used[AsyncLargeObjectDriver]) -> AsyncGenerator[None, None]:
        """See :meth:`Used.handling_errors`."""
        try:
            yield
        except Exception as error:
            if not used.is_error_of_driver(error):
                raise
            if is_lost := used.is_lost(error):
                await self._target.run_sync(lambda _: used.invalidate())
            raise used.wrapped(error, is_lost=is_lost) from error


class AsyncSQLAlchemyDriver:
    """Large objects over an asynchronous connection or session of SQLAlchemy's; see :class:`SQLAlchemyDriver`."""

    __module__ = "pg_lo_storage.contrib.sqlalchemy"

    def __init__(self, connection: AsyncConnection | AsyncSession | async_scoped_session[AsyncSession]) -> None:
        self._link = AsyncLink(connection() if isinstance(connection, async_scoped_session) else connection)

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[AsyncLargeObjectDriver, None]:
        used = await self._link.begun()
        async with self._link.handling_errors(used):
            yield used.driver

    @property
    def sql(self) -> AsyncSQLExecutor | None:
        """See :attr:`AsyncLargeObjectDriver.sql`."""
        # Until it is used, a driver is taken for one with SQL: before it needs some, it is asked is_begun().
        used = self._link.known()
        if used is None or isinstance(used.driver.sql, AsyncSQLDriver):
            return AsyncSQLAlchemySQL(self._link)
        return used.driver.sql

    @property
    def in_transaction(self) -> bool:
        """See :attr:`AsyncLargeObjectDriver.in_transaction`."""
        used = self._link.known()
        return used is not None and used.driver.in_transaction

    async def create(self, oid: int = 0) -> int:
        """See :meth:`AsyncLargeObjectDriver.create`."""
        async with self._session() as driver:
            return await driver.create(oid)

    async def from_bytes(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObjectDriver.from_bytes`."""
        async with self._session() as driver:
            return await driver.from_bytes(data)

    async def open(self, oid: int, mode: AccessMode) -> "AsyncSQLAlchemyLargeObject":
        """See :meth:`AsyncLargeObjectDriver.open`."""
        used = await self._link.begun()
        async with self._link.handling_errors(used):
            return AsyncSQLAlchemyLargeObject(self._link, used, await used.driver.open(oid, mode))

    async def unlink(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.unlink`."""
        async with self._session() as driver:
            return await driver.unlink(oid)

    async def exists(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.exists`."""
        async with self._session() as driver:
            return await driver.exists(oid)

    async def size(self, oid: int) -> int:
        """See :meth:`AsyncLargeObjectDriver.size`."""
        async with self._session() as driver:
            return await driver.size(oid)

    async def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`AsyncLargeObjectDriver.get`."""
        async with self._session() as driver:
            return await driver.get(oid, offset, size)

    async def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`AsyncLargeObjectDriver.put`."""
        async with self._session() as driver:
            await driver.put(oid, offset, data)

    async def is_begun(self) -> bool:
        """See :meth:`AsyncSQLDriver.is_begun`."""
        async with self._session() as driver:
            return await is_begun(driver)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """See :meth:`AsyncTransactionalDriver.transaction`."""
        async with self._session() as driver, transaction(driver):
            yield


class AsyncSQLAlchemySQL(AsyncSQLDriver):
    """The SQL of a driver that has some, by the rules of :class:`AsyncSQLAlchemyDriver`."""

    def __init__(self, link: AsyncLink) -> None:
        self._link = link

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[AsyncLargeObjectDriver, None]:
        used = await self._link.begun()
        async with self._link.handling_errors(used):
            yield used.driver

    @property
    @override
    def in_transaction(self) -> bool:
        used = self._link.known()
        return used is not None and used.driver.in_transaction

    @property
    @override
    def autocommit(self) -> bool:
        used = self._link.known()
        return used is not None and used.is_autocommit

    @override
    async def is_begun(self) -> bool:
        async with self._session() as driver:
            return await is_begun(driver)

    @override
    def sqlstate(self, error: Exception) -> str | None:
        return sqlstate_of(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)

    @override
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        async with self._session() as driver:
            if (sql := driver.sql) is None:
                message = f"{type(driver).__name__}, which serves the connection that SQLAlchemy uses, has no SQL"
                raise ValueError(message)
            return await sql.execute(query, params)

    @override
    async def perform(self, statement: Statement[T]) -> T:
        async with self._session() as driver:
            if isinstance(sql := driver.sql, AsyncSQLDriver):
                return await sql.perform(statement)
        return await super().perform(statement)


class AsyncSQLAlchemyLargeObject:
    """A descriptor that is stale, too, once its connection is back in the pool."""

    def __init__(self, link: AsyncLink, used: Used[AsyncLargeObjectDriver], wrapped: AsyncLargeObject) -> None:
        self._link = link
        self._used = used
        self._wrapped = wrapped

    @property
    def oid(self) -> int:
        """See :attr:`AsyncLargeObject.oid`."""
        return self._wrapped.oid

    async def read(self, size: int) -> bytes:
        """See :meth:`AsyncLargeObject.read`."""
        async with self._session() as wrapped:
            return await wrapped.read(size)

    async def chunks(self, size: int, count: int | None = None) -> AsyncIterator[bytes]:
        """See :meth:`AsyncLargeObject.chunks`."""
        blocks = self._wrapped.chunks(size, count)
        while True:
            async with self._session():
                block = await anext(blocks, None)
            if block is None:
                return
            yield block

    async def write(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObject.write`."""
        async with self._session() as wrapped:
            return await wrapped.write(data)

    async def write_all(self, blocks: Iterable[Buffer] | AsyncIterable[Buffer]) -> int:
        """See :meth:`AsyncLargeObject.write_all`."""
        async with self._session() as wrapped:
            return await wrapped.write_all(blocks)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`AsyncLargeObject.seek`."""
        async with self._session() as wrapped:
            return await wrapped.seek(offset, whence)

    async def tell(self) -> int:
        """See :meth:`AsyncLargeObject.tell`."""
        async with self._session() as wrapped:
            return await wrapped.tell()

    async def truncate(self, size: int) -> None:
        """See :meth:`AsyncLargeObject.truncate`."""
        async with self._session() as wrapped:
            await wrapped.truncate(size)

    async def close(self) -> None:
        """See :meth:`AsyncLargeObject.close`."""
        if self._used.is_current:
            async with self._link.handling_errors(self._used):
                await self._wrapped.close()

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[AsyncLargeObject, None]:
        self._used.check(self.oid)
        async with self._link.handling_errors(self._used):
            yield self._wrapped


def _driver_of(connection: Connection) -> AsyncLargeObjectDriver:
    return get_async_driver(raw_of(connection))


if TYPE_CHECKING:
    _driver: type[AsyncLargeObjectDriver] = AsyncSQLAlchemyDriver
    _descriptor: type[AsyncLargeObject] = AsyncSQLAlchemyLargeObject
