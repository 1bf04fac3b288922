"""An asynchronous driver that passes its calls on to another: :mod:`pg_lo_storage.drivers.wrapper`, awaited."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from typing_extensions import Buffer

from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver, AsyncSQLExecutor
from pg_lo_storage.aio.opening import begins_by_itself, is_begun, transaction
from pg_lo_storage.aio.registry import AsyncDriverFactory, get_async_driver
from pg_lo_storage.drivers.base import AccessMode

__all__ = ["AsyncDriverWrapper", "AsyncLargeObjectWrapper"]


class AsyncLargeObjectWrapper:
    """A descriptor that passes its calls on to another, ``wrapped``; see :class:`LargeObjectWrapper`."""

    __module__ = "pg_lo_storage.aio"

    def __init__(self, wrapped: AsyncLargeObject) -> None:
        self.wrapped: AsyncLargeObject = wrapped

    @property
    def oid(self) -> int:
        """See :attr:`AsyncLargeObject.oid`."""
        return self.wrapped.oid

    async def read(self, size: int) -> bytes:
        """See :meth:`AsyncLargeObject.read`."""
        return await self.wrapped.read(size)

    async def chunks(self, size: int, count: int | None = None) -> AsyncIterator[bytes]:
        """See :meth:`AsyncLargeObject.chunks`."""
        if type(self).read is AsyncLargeObjectWrapper.read:
            async for block in self.wrapped.chunks(size, count):
                yield block
            return
        done = 0
        while (count is None or done < count) and (block := await self.read(size)):
            yield block
            done += 1

    async def write(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObject.write`."""
        return await self.wrapped.write(data)

    async def write_all(self, blocks: Iterable[Buffer] | AsyncIterable[Buffer]) -> int:
        """See :meth:`AsyncLargeObject.write_all`."""
        if type(self).write is AsyncLargeObjectWrapper.write:
            return await self.wrapped.write_all(blocks)
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
        return await self.wrapped.seek(offset, whence)

    async def tell(self) -> int:
        """See :meth:`AsyncLargeObject.tell`."""
        return await self.wrapped.tell()

    async def truncate(self, size: int) -> None:
        """See :meth:`AsyncLargeObject.truncate`."""
        await self.wrapped.truncate(size)

    async def close(self) -> None:
        """See :meth:`AsyncLargeObject.close`."""
        await self.wrapped.close()


class AsyncDriverWrapper:
    """A driver that passes its calls on to another, ``wrapped``; see :class:`DriverWrapper`."""

    __module__ = "pg_lo_storage.aio"

    def __init__(self, connection: object, *, driver: AsyncDriverFactory | None = None) -> None:
        self.wrapped: AsyncLargeObjectDriver = get_async_driver(connection) if driver is None else driver(connection)

    async def create(self, oid: int = 0) -> int:
        """See :meth:`AsyncLargeObjectDriver.create`."""
        return await self.wrapped.create(oid)

    async def from_bytes(self, data: Buffer) -> int:
        """See :meth:`AsyncLargeObjectDriver.from_bytes`."""
        return await self.wrapped.from_bytes(data)

    async def open(self, oid: int, mode: AccessMode) -> AsyncLargeObjectWrapper:
        """See :meth:`AsyncLargeObjectDriver.open`."""
        return AsyncLargeObjectWrapper(await self.wrapped.open(oid, mode))

    async def unlink(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.unlink`."""
        return await self.wrapped.unlink(oid)

    async def exists(self, oid: int) -> bool:
        """See :meth:`AsyncLargeObjectDriver.exists`."""
        return await self.wrapped.exists(oid)

    async def size(self, oid: int) -> int:
        """See :meth:`AsyncLargeObjectDriver.size`."""
        return await self.wrapped.size(oid)

    async def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`AsyncLargeObjectDriver.get`."""
        return await self.wrapped.get(oid, offset, size)

    async def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`AsyncLargeObjectDriver.put`."""
        await self.wrapped.put(oid, offset, data)

    @property
    def in_transaction(self) -> bool:
        """See :attr:`AsyncLargeObjectDriver.in_transaction`."""
        return self.wrapped.in_transaction

    async def is_begun(self) -> bool:
        """See :meth:`AsyncSQLDriver.is_begun`."""
        return await is_begun(self.wrapped)

    @property
    def sql(self) -> AsyncSQLExecutor | None:
        """None: SQL would pass the methods by."""
        return None

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """See :meth:`AsyncTransactionalDriver.transaction`.

        :raises NoTransactionError: the wrapped driver has no way to begin one.
        """
        return transaction(self.wrapped)

    @contextlib.asynccontextmanager
    async def atomic(self) -> AsyncGenerator[None, None]:
        """See :meth:`DriverWrapper.atomic`."""
        async with contextlib.nullcontext() if await begins_by_itself(self.wrapped) else self.transaction():
            yield


if TYPE_CHECKING:

    def _(
        driver: AsyncDriverWrapper, descriptor: AsyncLargeObjectWrapper
    ) -> tuple[AsyncLargeObjectDriver, AsyncLargeObject]:
        return driver, descriptor
