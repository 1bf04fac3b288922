"""A driver that passes its calls on to another, for those that do one thing differently."""

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import AccessMode, LargeObject, LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.registry import DriverFactory, get_driver
from pg_lo_storage.drivers.transactions import begins_by_itself, transaction

__all__ = ["DriverWrapper", "LargeObjectWrapper"]


class LargeObjectWrapper:
    """A descriptor that passes its calls on to another, ``wrapped``; a subclass overrides what is to be different.

    All bytes pass ``read`` and ``write`` once a subclass overrides these two: ``chunks`` then calls its ``read``, and
    ``write_all`` its ``write``.
    """

    __module__ = "pg_lo_storage.drivers"

    def __init__(self, wrapped: LargeObject) -> None:
        self.wrapped: LargeObject = wrapped

    @property
    def oid(self) -> int:
        """See :attr:`LargeObject.oid`."""
        return self.wrapped.oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        return self.wrapped.read(size)

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        if type(self).read is LargeObjectWrapper.read:
            yield from self.wrapped.chunks(size, count)
            return
        done = 0
        while (count is None or done < count) and (block := self.read(size)):
            yield block
            done += 1

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        return self.wrapped.write(data)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        if type(self).write is LargeObjectWrapper.write:
            return self.wrapped.write_all(blocks)
        return sum(map(self.write, blocks))

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        return self.wrapped.seek(offset, whence)

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        return self.wrapped.tell()

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        self.wrapped.truncate(size)

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        self.wrapped.close()


class DriverWrapper:
    """A driver that passes its calls on to another, ``wrapped``; a subclass overrides what is to be different.

    It may be registered for the type of connection that it wraps. It has no SQL, and streams nothing: all content goes
    through the methods ``from_bytes``, ``get`` and ``put``, and those of the descriptors that ``open`` returns. A
    subclass that leaves bytes as they are may return ``self.wrapped.sql`` as its ``sql``; its methods are then passed
    by where one statement does more than one of them.
    """

    __module__ = "pg_lo_storage.drivers"

    def __init__(self, connection: object, *, driver: DriverFactory | str | None = None) -> None:
        self.wrapped: LargeObjectDriver = get_driver(connection, driver=driver)

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        return self.wrapped.create(oid)

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        return self.wrapped.from_bytes(data)

    def open(self, oid: int, mode: AccessMode) -> LargeObjectWrapper:
        """See :meth:`LargeObjectDriver.open`."""
        return LargeObjectWrapper(self.wrapped.open(oid, mode))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        return self.wrapped.unlink(oid)

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        return self.wrapped.exists(oid)

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        return self.wrapped.size(oid)

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        return self.wrapped.get(oid, offset, size)

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        self.wrapped.put(oid, offset, data)

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        return self.wrapped.in_transaction

    @property
    def sql(self) -> SQLExecutor | None:
        """None: SQL would pass the methods by."""
        return None

    def transaction(self) -> AbstractContextManager[object]:
        """See :meth:`TransactionalDriver.transaction`.

        :raises NoTransactionError: the wrapped driver has no way to begin one.
        """
        return transaction(self.wrapped)

    def atomic(self) -> AbstractContextManager[object]:
        """Return a context for calls that belong together: in autocommit a transaction, in a transaction nothing.

        :raises NoTransactionError: the connection is in autocommit, and the wrapped driver cannot begin one.
        """
        return contextlib.nullcontext() if begins_by_itself(self.wrapped) else self.transaction()


if TYPE_CHECKING:

    def _(driver: DriverWrapper, descriptor: LargeObjectWrapper) -> tuple[LargeObjectDriver, LargeObject]:
        return driver, descriptor
