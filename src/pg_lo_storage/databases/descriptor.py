"""A descriptor on a Django connection, with Django's rules about errors."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

from typing_extensions import Buffer

from pg_lo_storage.databases.atomic_blocks import guarded
from pg_lo_storage.drivers import LargeObject, bulk
from pg_lo_storage.drivers.base import Sink, StreamingLargeObject
from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseLargeObject", "StreamingDatabaseLargeObject", "over"]


class DatabaseLargeObject:
    """A descriptor that is used over the connection that opened it, in any thread."""

    def __init__(self, wrapper: "BaseDatabaseWrapper", wrapped: LargeObject) -> None:
        self._wrapper = wrapper
        self._wrapped = wrapped
        self._raw = wrapper.connection

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
        with self._session() as wrapped:
            return wrapped.write_all(blocks)

    def write_through(self, blocks: Iterable[Buffer], sink: Sink | None = None, *, apart: bool = False) -> int:
        """See :func:`bulk.write_through`."""
        with self._session() as wrapped:
            return bulk.write_through(wrapped, blocks, sink, apart=apart)

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
        is_connected = self._raw is not None and self._wrapper.connection is self._raw
        if is_connected and not self._wrapper.needs_rollback:
            with guarded(self._wrapper, self._wrapped) as wrapped:
                wrapped.close()

    def _session(self) -> AbstractContextManager[LargeObject]:
        if self._raw is None or self._wrapper.connection is not self._raw:
            message = f"the connection that large object {self.oid} was opened on was closed: open it again"
            raise StaleLargeObject(message, oid=self.oid)
        return guarded(self._wrapper, self._wrapped)


class StreamingDatabaseLargeObject(DatabaseLargeObject):
    """The same for a descriptor that streams."""

    def __init__(self, wrapper: "BaseDatabaseWrapper", wrapped: StreamingLargeObject) -> None:
        super().__init__(wrapper, cast("LargeObject", wrapped))
        self._streaming = wrapped

    def stream(self, size: int, sink: Sink) -> int:
        """See :meth:`StreamingLargeObject.stream`."""
        with self._session():
            return self._streaming.stream(size, sink)


def over(wrapper: "BaseDatabaseWrapper", opened: LargeObject) -> DatabaseLargeObject:
    """Put Django's rules around a descriptor that was just opened on the connection."""
    if bulk.streams(type(opened), "read"):
        return StreamingDatabaseLargeObject(wrapper, cast("StreamingLargeObject", opened))
    return DatabaseLargeObject(wrapper, opened)


if TYPE_CHECKING:
    _: type[LargeObject] = DatabaseLargeObject
