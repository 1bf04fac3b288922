"""An asynchronous driver called from ordinary code, by something that runs its coroutines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, LiteralString, Protocol, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver, AsyncSQLExecutor
from pg_lo_storage.aio.opening import transaction
from pg_lo_storage.drivers.base import AccessMode

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["BlockingDriver", "BlockingLargeObject", "RunsCoroutines"]

T = TypeVar("T")


class RunsCoroutines(Protocol):
    """Runs a coroutine for code that is none."""

    def call(self, coroutine: Coroutine[object, object, T], /) -> T:
        """Run it, and return its result."""
        ...


class BlockingLargeObject:
    """An asynchronous descriptor as a :class:`LargeObject`."""

    def __init__(self, portal: RunsCoroutines, descriptor: AsyncLargeObject) -> None:
        self._call = portal.call
        self._descriptor = descriptor

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._descriptor.oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        return self._call(self._descriptor.read(size))

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        blocks = self._descriptor.chunks(size, count)
        while (block := self._call(_next(blocks))) is not None:
            yield block

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        return self._call(self._descriptor.write(data))

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        return self._call(self._descriptor.write_all(_in_thread(iter(blocks))))

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        return self._call(self._descriptor.seek(offset, whence))

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        return self._call(self._descriptor.tell())

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        self._call(self._descriptor.truncate(size))

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        self._call(self._descriptor.close())


class BlockingExecutor:
    """An asynchronous executor as an :class:`SQLExecutor`."""

    def __init__(self, portal: RunsCoroutines, sql: AsyncSQLExecutor) -> None:
        self._call = portal.call
        self._sql = sql

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """See :meth:`SQLExecutor.execute`."""
        return self._call(self._sql.execute(query, params))


class BlockingDriver:
    """An asynchronous driver as a :class:`LargeObjectDriver`; ``awaited`` is the driver itself."""

    def __init__(self, portal: RunsCoroutines, driver: AsyncLargeObjectDriver) -> None:
        self.portal: RunsCoroutines = portal
        self.awaited: AsyncLargeObjectDriver = driver
        self._call = portal.call

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        return self._call(self.awaited.create(oid))

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        return self._call(self.awaited.from_bytes(data))

    def open(self, oid: int, mode: AccessMode) -> BlockingLargeObject:
        """See :meth:`LargeObjectDriver.open`."""
        return BlockingLargeObject(self.portal, self._call(self.awaited.open(oid, mode)))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        return self._call(self.awaited.unlink(oid))

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        return self._call(self.awaited.exists(oid))

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        return self._call(self.awaited.size(oid))

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        return self._call(self.awaited.get(oid, offset, size))

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        self._call(self.awaited.put(oid, offset, data))

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        return self.awaited.in_transaction

    @property
    def sql(self) -> BlockingExecutor | None:
        """See :attr:`LargeObjectDriver.sql`."""
        return None if self.awaited.sql is None else BlockingExecutor(self.portal, self.awaited.sql)

    def transaction(self) -> AbstractContextManager[object]:
        """See :meth:`TransactionalDriver.transaction`."""
        return self._entered(transaction(self.awaited))

    @contextlib.contextmanager
    def _entered(self, begun: AbstractAsyncContextManager[object]) -> Generator[None]:
        self._call(begun.__aenter__())
        try:
            yield
        except BaseException as error:
            self._call(begun.__aexit__(type(error), error, error.__traceback__))
            raise
        self._call(begun.__aexit__(None, None, None))


async def _next(blocks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(blocks, None)


async def _in_thread(blocks: Iterator[Buffer]) -> AsyncIterator[Buffer]:
    # In a thread: the blocks may come from the driver itself, which waits for the loop.
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block


if TYPE_CHECKING:
    _driver: type[LargeObjectDriver] = BlockingDriver
    _descriptor: type[LargeObject] = BlockingLargeObject
