"""An asynchronous driver on the server's SQL functions: the statements of :class:`SQLDriver`, awaited."""

import abc
from collections.abc import Sequence
from typing import LiteralString, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.aio.descriptor import AsyncSQLLargeObject
from pg_lo_storage.drivers import queries, reading
from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.guarded import GuardedDescriptor
from pg_lo_storage.drivers.queries import Statement

__all__ = ["AsyncSQLDriver"]

T = TypeVar("T")


class AsyncSQLDriver(abc.ABC):
    """All of :class:`AsyncLargeObjectDriver`, given a way to run SQL.

    A subclass says how to run a statement, what the transaction's state is, and where its exceptions keep
    the SQLSTATE. Parameters are ``int``, ``str``, ``memoryview`` (bytea) and ``None`` (null); a row is a tuple of the
    same, bytea as any buffer. ``in_transaction`` is ``False`` on a connection that is closed or lost.
    """

    __module__ = "pg_lo_storage.aio"

    @abc.abstractmethod
    async def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders and return all its rows; exceptions pass untranslated.

        If it is cancelled, it has the server cancel the statement, and leaves no result for another statement to get.
        """

    @abc.abstractmethod
    def sqlstate(self, error: Exception) -> str | None:
        """Return the SQLSTATE that ``error`` carries, ``None`` where it is no error of the server."""

    @property
    @abc.abstractmethod
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now."""

    @property
    @abc.abstractmethod
    def autocommit(self) -> bool:
        """Whether the connection leaves it to the user to begin a transaction."""

    async def is_begun(self) -> bool:
        """Return ``in_transaction`` as it is once the current statements have ended.

        Override this if the statements of other tasks, or of a pipeline, show in ``in_transaction`` meanwhile.
        """
        return self.in_transaction

    @property
    def sql(self) -> "AsyncSQLDriver":
        """The driver itself: see :meth:`execute`."""
        return self

    async def perform(self, statement: Statement[T]) -> T:
        """Run a statement and return its result.

        :raises LargeObjectError: the server refuses it; the driver's exception is the cause.
        """
        try:
            rows = await self.execute(statement.query, statement.params)
        except Exception as error:
            if (found := queries.translated(self.sqlstate(error), error, statement)) is not None:
                raise found from error
            raise
        return statement.result(rows)

    async def create(self, oid: int = 0) -> int:
        """See :meth:`AsyncLargeObjectDriver.create`."""
        return await self.perform(queries.create(oid))

    async def from_bytes(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObjectDriver.from_bytes`."""
        return await self.perform(queries.from_bytes(data))

    async def unlink(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.unlink`."""
        return queries.is_oid(oid) and await self.perform(queries.unlink(oid))

    async def exists(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.exists`."""
        return queries.is_oid(oid) and await self.perform(queries.exists(oid))

    async def size(self, oid: int) -> int:
        """See :meth:`AsyncLargeObjectDriver.size`."""
        return await self.perform(queries.size(oid))

    async def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`AsyncLargeObjectDriver.get`."""
        return await self.perform(queries.get(oid, offset, size))

    async def get_blocks(self, oid: int, offset: int, size: int, block: int) -> list[bytes]:
        """Return ``size`` bytes at ``offset``, fewer at the end, in blocks, by one statement."""
        return await self.perform(reading.get_blocks(oid, offset, size, block))

    async def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`AsyncLargeObjectDriver.put`."""
        await self.perform(queries.put(oid, offset, data))

    async def open(self, oid: int, mode: AccessMode) -> AsyncSQLLargeObject:
        """See :meth:`AsyncLargeObjectDriver.open`."""
        return AsyncSQLLargeObject(self, mode, await self.open_descriptor(oid, mode))

    async def open_descriptor(self, oid: int, mode: AccessMode) -> GuardedDescriptor:
        """Open a guarded descriptor."""
        statement = queries.open_descriptor(oid, mode)
        if self.autocommit:
            queries.require_transaction(oid, autocommit=True, in_transaction=await self.is_begun())
        return GuardedDescriptor(oid, *await self.perform(statement))
