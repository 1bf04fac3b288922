"""A large object with a position and a read-ahead buffer: what an asynchronous file does once arguments are checked."""

import io
import os
from typing import TYPE_CHECKING

from pg_lo_storage.aio.gathering import read_into, write_all
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.io.readahead import Ahead, ReadAhead

if TYPE_CHECKING:
    from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver

__all__ = ["AsyncBufferedLargeObject"]


class AsyncBufferedLargeObject(ReadAhead):
    """Reads through ``descriptor``, or without one by a statement for each batch; writes go out at once.

    A read that fails, or is cancelled, has moved the position by what it took from the buffer: seek back.
    """

    def __init__(self, driver: "AsyncLargeObjectDriver", oid: int, descriptor: "AsyncLargeObject | None") -> None:
        self.descriptor = descriptor
        self._driver = driver
        self._oid = oid
        # The descriptor's position; None if it is unknown.
        self._descriptor_position: int | None = 0

    async def fill(self, least: int = 1) -> bool:
        """Replace the used-up buffer by the next blocks, ``least`` bytes or more; return False at the end."""
        if self.at_known_end():
            return False
        self.drop()  # frees the memory before more is read
        ahead = self.wanted(least)
        return self.filled(await self._fetch(ahead), ahead)

    async def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        parts: list[bytes] = []
        while size:
            if not self.buffered and size > MAX_BLOCK and not self.is_at_end:
                return await self._read_through(size, b"".join(parts))
            # If this read has bytes to return, the next one tells of the end.
            if not self.buffered and ((parts and self.is_at_end) or not await self.fill(size)):
                break
            parts.append(self.take(size))
            size -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read_rest(self) -> bytes:
        """Return all bytes up to the end; the server is asked unless the end was read already."""
        taken = b"".join(self.take_all())
        # A descriptor is asked in any case: it may be stale.
        if self.descriptor is None and self.at_known_end():
            return taken
        return await self._read_through(MAX_SIZE - self.position, taken)

    async def end(self) -> int:
        """Return the object's size, as the server has it now; the position stays."""
        if self.descriptor is None:
            return await self._driver.size(self._oid)
        self._descriptor_position = None
        self._descriptor_position = end = await self.descriptor.seek(0, os.SEEK_END)
        return end

    async def write(self, descriptor: "AsyncLargeObject", data: memoryview) -> None:
        """Write at the position."""
        self.drop()
        await self._place(descriptor)
        self._placed(self.position + await descriptor.write(data))

    async def _fetch(self, ahead: Ahead) -> list[bytes]:
        """Return the next blocks; the position stays."""
        if self.descriptor is None:
            return await self._get(ahead.block * ahead.number, ahead.block)
        await self._place(self.descriptor)
        if ahead.number == 1:
            blocks = [await self.descriptor.read(ahead.block)]
        else:
            blocks = [block async for block in self.descriptor.chunks(*ahead)]
        self._descriptor_position = self.position + sum(map(len, blocks))
        return blocks

    async def _read_through(self, size: int, taken: bytes) -> bytes:
        """Return ``taken`` and, without buffering, the ``size`` bytes after it, fewer only at the end."""
        self.drop()
        content = io.BytesIO()  # whose getvalue() makes no copy
        content.write(taken)
        if self.descriptor is None:
            await write_all(content, await self._get(size, BLOCK))
        else:
            await self._place(self.descriptor)
            await read_into(content, self.descriptor, size)
        self._placed(self.position + content.tell() - len(taken))
        return content.getvalue()

    async def _get(self, size: int, block: int) -> list[bytes]:
        """Return the next ``size`` bytes, fewer at the end, by one statement if the driver can."""
        if isinstance(sql := self._driver.sql, AsyncSQLDriver):
            return await sql.get_blocks(self._oid, self.position, size, block)
        blocks: list[bytes] = []
        for start in range(0, size, block):
            blocks.append(await self._driver.get(self._oid, self.position + start, min(block, size - start)))
            if len(blocks[-1]) < block:
                break
        return blocks

    async def _place(self, descriptor: "AsyncLargeObject") -> None:
        if self._descriptor_position != self.position:
            await descriptor.seek(self.position)
        self._descriptor_position = None  # until the call that follows succeeds

    def _placed(self, position: int) -> None:
        self.moved(position)
        self._descriptor_position = position
