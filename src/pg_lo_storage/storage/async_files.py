"""A stored file in Django's asynchronous code: each call runs in the thread that Django keeps for the request.

The request's transactions are open in that thread: https://docs.djangoproject.com/en/stable/topics/async/
"""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, cast

from asgiref.sync import sync_to_async
from typing_extensions import Buffer

from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.storage.files import DbFile, DbFileIO

__all__ = ["AsyncDbFile"]


class AsyncDbFile:
    """What :meth:`DbFileStorage.aopen` returns: a :class:`DbFile` whose methods are awaited.

    A cancelled call goes on in its thread, and the next call waits for it. The position is unknown then.
    """

    __module__ = "pg_lo_storage.storage"

    def __init__(self, file: DbFile) -> None:
        self._file = file
        self.name: str | None = file.name
        self.mode: str = getattr(file, "mode", "rb")  # some storages' files have none

    @property
    def loid(self) -> int:
        """The large object's oid."""
        return self._file.loid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self.readline():
            yield line

    async def read(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, or fewer at the end; -1 reads all that is left."""
        return await sync_to_async(self._stored.read)(size)

    async def readline(self, size: int = -1) -> bytes:
        """Return the next line with its line feed, or at most ``size`` bytes of it."""
        return await sync_to_async(self._stored.readline)(size)

    async def aiter_chunks(self, size: int = BLOCK) -> AsyncIterator[bytes]:
        """Yield the rest of the file in blocks of ``size`` bytes; the last may be shorter."""
        while block := await self.read(size):
            yield block

    async def write(self, data: Buffer) -> int:
        """Write all of ``data`` and return its length in bytes; this needs a transaction, as :class:`DbFile` does."""
        return await sync_to_async(self._stored.write)(data)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Move by ``offset`` from the start (0), the position (1) or the end (2); return the new position."""
        return await sync_to_async(self._stored.seek)(offset, whence)

    async def tell(self) -> int:
        """Return the position."""
        return await sync_to_async(self._stored.tell)()

    async def truncate(self, size: int | None = None) -> int:
        """Cut or extend (with zeros) to ``size`` bytes, or to the position; return the size."""
        return await sync_to_async(self._stored.truncate)(size)

    async def size(self) -> int:
        """Return the size in bytes, as the server has it now."""
        return await sync_to_async(lambda: self._stored.size)()

    async def close(self) -> None:
        """Close the file."""
        await sync_to_async(self._file.close)()

    @property
    def _stored(self) -> DbFileIO:
        # A TransitionalStorage opens old files, too, which are of other classes.
        return self._file.stored if isinstance(cast("object", self._file), DbFile) else cast("DbFileIO", self._file)
