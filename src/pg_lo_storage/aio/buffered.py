"""A large object with a position and a read-ahead buffer: what an asynchronous file does once arguments are checked."""

import os
from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.readahead import ReadAhead

if TYPE_CHECKING:
    from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver

__all__ = ["AsyncBufferedLargeObject"]


class AsyncBufferedLargeObject(ReadAhead):
    """Reads through ``descriptor``, or, where there is none, one statement a block; writes go out at once.

    A read that fails, or is cancelled, has moved the position by what it took from the buffer: seek back.
    """

    def __init__(self, driver: "AsyncLargeObjectDriver", oid: int, descriptor: "AsyncLargeObject | None") -> None:
        super().__init__()
        self.descriptor = descriptor
        self._driver = driver
        self._oid = oid
        # Where the descriptor stands; None where that is unknown.
        self._descriptor_position: int | None = 0

    async def fill(self, least: int = 1) -> bool:
        """Replace the used-up buffer by the next block, of ``least`` bytes or more; False at the end."""
        if self.at_known_end():
            return False
        size = self.wanted(least)
        return self.filled(await self._fetch(size), size)

    async def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        head = self.take(min(size, self.buffered))
        wanted = size - len(head)
        if not wanted:
            return head
        if wanted < BLOCK:
            return head + self.take(wanted) if await self.fill(wanted) else head
        data = await self._fetch(wanted)
        self.moved(self.position + len(data))
        self.drop()
        return head + data if head else data

    async def read_rest(self) -> bytes:
        """Return all up to the end, which is asked of the server."""
        parts = [self.take(self.buffered)]
        self.drop()
        if self.descriptor is None:
            while len(part := await self._driver.get(self._oid, self.position, MAX_BLOCK)) == MAX_BLOCK:
                parts.append(part)
                self.moved(self.position + MAX_BLOCK)
            parts.append(part)
            self.moved(self.position + len(part))
        else:
            await self._place(self.descriptor)
            parts.extend([block async for block in self.descriptor.chunks(BLOCK)])
            self._placed(self.position + sum(map(len, parts[1:])))
        return b"".join(parts)

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

    async def _fetch(self, size: int) -> bytes:
        """Return ``size`` bytes from the server, fewer only at the end; the position stays."""
        if self.descriptor is not None:
            await self._place(self.descriptor)
            data = await self.descriptor.read(size)
            self._descriptor_position = self.position + len(data)
            return data
        parts: list[bytes] = []
        for start in range(0, size, MAX_BLOCK):
            block = min(size - start, MAX_BLOCK)
            parts.append(await self._driver.get(self._oid, self.position + start, block))
            if len(parts[-1]) < block:
                break
        return b"".join(parts) if len(parts) > 1 else parts[0]

    async def _place(self, descriptor: "AsyncLargeObject") -> None:
        if self._descriptor_position != self.position:
            await descriptor.seek(self.position)
        self._descriptor_position = None  # until the call that follows has gone well

    def _placed(self, position: int) -> None:
        self.moved(position)
        self._descriptor_position = position
