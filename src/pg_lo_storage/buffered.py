"""A large object with a position and a read-ahead buffer: what a file does once its arguments are checked."""

import os
from typing import TYPE_CHECKING

from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.readahead import ReadAhead

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["BufferedLargeObject"]


class BufferedLargeObject(ReadAhead):
    """Reads through ``descriptor``, or, where there is none, one statement a block; writes go out at once."""

    def __init__(self, driver: "LargeObjectDriver", oid: int, descriptor: "LargeObject | None") -> None:
        super().__init__()
        self.descriptor = descriptor
        self._driver = driver
        self._oid = oid
        # Where the descriptor stands; None where that is unknown.
        self._descriptor_position: int | None = 0

    def fill(self, wanted: int = 1) -> bool:
        """Replace the used-up buffer by the next block, of ``wanted`` bytes or more; False at the end."""
        if self.at_known_end():
            return False
        size = self.wanted(wanted)
        return self.filled(self._fetch(size), size)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        head = self.take(min(size, self.buffered))
        wanted = size - len(head)
        if not wanted:
            return head
        if wanted < BLOCK:
            return head + self.take(wanted) if self.fill(wanted) else head
        data = self._fetch(wanted)
        self.moved(self.position + len(data))
        self.drop()
        return head + data if head else data

    def read_rest(self) -> bytes:
        """Return all up to the end, which is asked of the server."""
        parts = [self.take(self.buffered)]
        self.drop()
        if self.descriptor is None:
            while len(part := self._driver.get(self._oid, self.position, MAX_BLOCK)) == MAX_BLOCK:
                parts.append(part)
                self.moved(self.position + MAX_BLOCK)
            parts.append(part)
            self.moved(self.position + len(part))
        else:
            self._place(self.descriptor)
            parts.extend(self.descriptor.chunks(BLOCK))
            self._placed(self.position + sum(map(len, parts[1:])))
        return b"".join(parts)

    def end(self) -> int:
        """Return the object's size, as the server has it now; the position stays."""
        if self.descriptor is None:
            return self._driver.size(self._oid)
        self._descriptor_position = None
        self._descriptor_position = end = self.descriptor.seek(0, os.SEEK_END)
        return end

    def write(self, descriptor: "LargeObject", data: memoryview) -> None:
        """Write at the position."""
        self.drop()
        self._place(descriptor)
        self._placed(self.position + descriptor.write(data))

    def _fetch(self, size: int) -> bytes:
        """Return ``size`` bytes from the server, fewer only at the end; the position stays."""
        if self.descriptor is not None:
            self._place(self.descriptor)
            data = self.descriptor.read(size)
            self._descriptor_position = self.position + len(data)
            return data
        parts: list[bytes] = []
        for start in range(0, size, MAX_BLOCK):
            block = min(size - start, MAX_BLOCK)
            parts.append(self._driver.get(self._oid, self.position + start, block))
            if len(parts[-1]) < block:
                break
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def _place(self, descriptor: "LargeObject") -> None:
        if self._descriptor_position != self.position:
            descriptor.seek(self.position)
        self._descriptor_position = None  # until the call that follows has gone well

    def _placed(self, position: int) -> None:
        self.moved(position)
        self._descriptor_position = position
