"""A descriptor of the current transaction, driven by the server's SQL functions and awaited."""

import io
import operator
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Protocol, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.aio.gathering import read_into
from pg_lo_storage.drivers.base import MAX_BLOCK, AccessMode
from pg_lo_storage.drivers.guarded import IN_FAILED_TRANSACTION, GuardedDescriptor, rows_of_batch
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.values import byte_view, check_offset
from pg_lo_storage.exceptions import LargeObjectTooLarge

__all__ = ["AsyncSQLLargeObject"]

T = TypeVar("T")


class RunsStatements(Protocol):
    """What a descriptor needs of the driver that opened it, an :class:`AsyncSQLDriver`."""

    @property
    def in_transaction(self) -> bool:
        """See :attr:`AsyncSQLDriver.in_transaction`."""
        ...

    def sqlstate(self, error: Exception, /) -> str | None:
        """See :meth:`AsyncSQLDriver.sqlstate`."""
        ...

    async def perform(self, statement: Statement[T], /) -> T:
        """See :meth:`AsyncSQLDriver.perform`."""
        ...


class AsyncSQLLargeObject:
    """A descriptor of the current transaction, driven by SQL; see :class:`AsyncLargeObject`."""

    def __init__(self, driver: RunsStatements, mode: AccessMode, descriptor: GuardedDescriptor) -> None:
        self._driver = driver
        self._writable = bool(AccessMode.WRITE & mode)
        self._descriptor = descriptor
        self._closed = False

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._descriptor.oid

    async def read(self, size: int) -> bytes:
        """See :meth:`AsyncLargeObject.read`."""
        if size <= MAX_BLOCK:
            return (await self._perform(self._descriptor.read(size, 1)))[0]
        content = io.BytesIO()
        await read_into(content, self, size)
        return content.getvalue()

    async def chunks(self, size: int, count: int | None = None) -> AsyncIterator[bytes]:
        """See :meth:`AsyncLargeObject.chunks`."""
        batch = rows_of_batch(size)
        done = 0
        while count is None or done < count:
            rows = batch if count is None else min(batch, count - done)
            for block in await self._perform(self._descriptor.read(size, rows)):
                if block:
                    yield block
                if len(block) < size or not size:
                    return
            done += rows

    async def write(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObject.write`."""
        await self._check_writable()
        view = byte_view(data)
        if not view:
            await self.tell()  # nothing to send, but a stale descriptor must not go unnoticed
        for start in range(0, len(view), MAX_BLOCK):
            await self._perform(self._descriptor.write(view[start : start + MAX_BLOCK]))
        return len(view)

    async def write_all(self, blocks: Iterable[Buffer] | AsyncIterable[Buffer]) -> int:
        """See :meth:`AsyncLargeObject.write_all`."""
        written = 0
        if isinstance(blocks, AsyncIterable):
            async for block in blocks:
                written += await self.write(block)
        else:
            for block in blocks:
                written += await self.write(block)
        return written

    async def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`AsyncLargeObject.seek`."""
        if whence not in {0, 1, 2}:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        offset = operator.index(offset)
        if whence == 0:
            return await self._seek(check_offset(offset, self.oid), 0)
        if not offset:
            return await self._seek(0, whence)
        # Where it would end is found out first: out of range, the server would abort the transaction.
        position = await self.tell()
        base = position if whence == 1 else await self._seek(0, 2)
        try:
            target = check_offset(base + offset, self.oid)
        except (ValueError, LargeObjectTooLarge):
            await self._seek(position, 0)
            raise
        return await self._seek(target, 0)

    async def tell(self) -> int:
        """See :meth:`AsyncLargeObject.tell`."""
        return await self._perform(self._descriptor.tell())

    async def truncate(self, size: int) -> None:
        """See :meth:`AsyncLargeObject.truncate`."""
        await self._check_writable()
        await self._perform(self._descriptor.truncate(size))

    async def close(self) -> None:
        """See :meth:`AsyncLargeObject.close`."""
        if self._closed:
            return
        self._closed = True
        if not self._driver.in_transaction:
            return
        try:
            await self._driver.perform(self._descriptor.close())
        except Exception as error:
            if self._driver.sqlstate(error) != IN_FAILED_TRANSACTION:
                raise

    async def _seek(self, offset: int, whence: int) -> int:
        return await self._perform(self._descriptor.seek(offset, whence))

    async def _check_writable(self) -> None:
        if not self._writable:
            await self.tell()  # stale comes first
            raise self._descriptor.not_writable()

    async def _perform(self, statement: Statement[T]) -> T:
        if self._closed or not self._driver.in_transaction:
            raise self._descriptor.stale()
        return await self._driver.perform(statement)
