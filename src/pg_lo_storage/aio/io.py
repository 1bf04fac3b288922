"""A binary file over one large object, read and written with ``await``.

The contract is that of https://docs.python.org/3/library/io.html, with the methods as coroutines.
"""

import operator
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Self, SupportsIndex

from typing_extensions import Buffer

from pg_lo_storage.aio.lifecycle import AsyncOpenFile
from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.values import BLOCK, byte_view
from pg_lo_storage.io.limits import check_position, no_room

__all__ = ["AsyncLargeObjectIO"]


class AsyncLargeObjectIO(AsyncOpenFile):
    """A large object as an asynchronous binary file: :class:`LargeObjectIO`, awaited.

    ``async with AsyncLargeObjectIO(driver, oid) as file:`` opens and closes it, ``file = await
    AsyncLargeObjectIO(driver, oid)`` opens it. Modes, buffering, errors and the transaction it belongs to are those
    of :class:`LargeObjectIO`.

    One task at a time may use it. A cancelled read leaves the position as it was. After a cancelled change nobody
    knows how much of it was made, so the file is stale. For the connection, see :mod:`pg_lo_storage.aio.base`.

    :raises ValueError: the mode is invalid, or cannot create and ``oid`` is 0; the constructor raises this.
    :raises LargeObjectNotFound: it is opened, and there is no such object.
    :raises LargeObjectExists: it is opened, the mode is ``x``, and ``oid`` is taken.
    :raises NoTransactionError: it is opened for writing in autocommit.
    :raises RuntimeError: it is used while another call is under way.
    :raises StaleLargeObject: it is used when its transaction or savepoint is over, or after a cancelled change.
    """

    __module__ = "pg_lo_storage.aio"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next line."""
        if line := await self.readline():
            return line
        raise StopAsyncIteration

    async def size(self) -> int:
        """Return the object's size in bytes, as the server has it now; the position stays."""
        with self._use() as opened:
            return await opened.end()

    async def read(self, size: SupportsIndex | None = -1, /) -> bytes:
        """Return ``size`` bytes, fewer only at the end; all that is left where it is -1 or None."""
        with self._reading("read") as opened:
            limit = -1 if size is None else operator.index(size)
            if limit < -1:
                message = "read length must be non-negative or -1"
                raise ValueError(message)
            return await opened.read_rest() if limit < 0 else await opened.read(limit)

    async def read1(self, size: SupportsIndex | None = -1, /) -> bytes:
        """Return up to ``size`` bytes that are buffered, or else of the next block."""
        limit = -1 if size is None else operator.index(size)
        with self._reading("read1") as opened:
            if limit and not opened.buffered:
                await opened.fill()
            return opened.take(opened.buffered if limit < 0 else limit)

    async def readinto(self, buffer: Buffer, /) -> int:
        """Fill ``buffer``, except at the end; return the number of bytes."""
        target = memoryview(buffer)
        if target.readonly:
            message = "readinto() argument must be read-write bytes-like object, not one that is read-only"
            raise TypeError(message)
        if not target.c_contiguous:
            message = "readinto() argument must be a contiguous buffer"
            raise BufferError(message)
        data = await self.read(target.nbytes)
        if data:
            target.cast("B")[: len(data)] = data
        return len(data)

    async def readline(self, size: SupportsIndex | None = -1, /) -> bytes:
        """Return the next line with its end, or ``size`` bytes of it."""
        parts: list[bytes] = []
        with self._reading("readline") as opened:
            limit = -1 if size is None else operator.index(size)
            while limit and (opened.buffered or await opened.fill()):
                part = opened.take_line(limit)
                parts.append(part)
                limit -= len(part)  # what is negative stays so
                if part.endswith(b"\n"):
                    break
        return b"".join(parts)

    async def readlines(self, hint: SupportsIndex | None = None, /) -> list[bytes]:
        """Return lines until they have more than ``hint`` bytes together; all where it is None or not positive."""
        limit = 0 if hint is None else operator.index(hint)
        lines: list[bytes] = []
        length = 0
        async for line in self:
            lines.append(line)
            length += len(line)
            if 0 < limit < length:
                break
        return lines

    def aiter_chunks(
        self, size: SupportsIndex = BLOCK, *, start: SupportsIndex | None = None, stop: SupportsIndex | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start`` up to ``stop`` in blocks of ``size``; the last may be shorter.

        ``None`` means from the position, or to the end. The position is after the block yielded last; if the file is
        moved meanwhile, the iteration still goes on from there.

        :raises ValueError: ``size`` is not positive.
        """
        block, begin = operator.index(size), None if start is None else operator.index(start)
        end = None if stop is None else operator.index(stop)
        if block <= 0:
            message = f"a block has at least one byte, not {block}"
            raise ValueError(message)
        for position in (begin, end):
            check_position(position or 0, self._oid)
        return self._chunks(block, begin, end)

    async def _chunks(self, size: int, start: int | None, stop: int | None) -> AsyncGenerator[bytes, None]:
        position = await self.tell() if start is None else start
        while stop is None or position < stop:
            await self.seek(position)
            block = await self.read(size if stop is None else min(size, stop - position))
            if not block:
                break
            position += len(block)
            yield block

    async def write(self, data: Buffer, /) -> int:
        """Write all of ``data`` and return its length in bytes."""
        with self._changing("write") as (opened, descriptor):
            view = byte_view(data)
            if self._mode.kind == "a":
                opened.position = await opened.end()
            if opened.position + len(view) > MAX_SIZE:
                raise no_room(len(view), opened.position, self._oid)
            await opened.write(descriptor, view)
            return len(view)

    async def writelines(self, lines: Iterable[Buffer] | AsyncIterable[Buffer], /) -> None:
        """Write lines, or blocks, as they are."""
        with self._changing("writelines"):
            pass
        # Every write is a query: short lines go out in blocks, as a buffered file's do.
        block = bytearray()
        try:
            async for line in _each(lines):
                block += byte_view(line)
                if len(block) >= BLOCK:
                    pending, block = block, bytearray()
                    await self.write(pending)
        except Exception as error:
            try:
                await self.write(block)
            except Exception as second:  # noqa: BLE001 -- the first error is the one to raise
                error.add_note(f"writing the lines before failed as well: {second}")
            raise
        await self.write(block)

    async def seek(self, offset: SupportsIndex, whence: SupportsIndex = os.SEEK_SET, /) -> int:
        """Move by ``offset`` from the start (0), the position (1) or the end (2); return the new position."""
        target, origin = operator.index(offset), operator.index(whence)
        with self._use() as opened:
            if origin == os.SEEK_CUR:
                target += opened.position
            elif origin == os.SEEK_END:
                target += await opened.end()
            elif origin != os.SEEK_SET:
                message = f"whence value {origin} unsupported"
                raise ValueError(message)
            check_position(target, self._oid)
            opened.seek(target)
            return target

    async def tell(self) -> int:
        """Return the position; nothing is asked of the server."""
        with self._use() as opened:
            return opened.position

    async def truncate(self, size: SupportsIndex | None = None, /) -> int:
        """Cut or extend (with zeros) to ``size`` bytes, or to the position; return the size."""
        with self._changing("truncate") as (opened, descriptor):
            length = opened.position if size is None else operator.index(size)
            check_position(length, self._oid)
            opened.drop()
            await descriptor.truncate(length)
            return length


async def _each(lines: Iterable[Buffer] | AsyncIterable[Buffer]) -> AsyncGenerator[Buffer, None]:
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line
