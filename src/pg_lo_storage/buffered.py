"""A large object with a position and a read-ahead buffer: what a file does once its arguments are checked."""

import os
from typing import TYPE_CHECKING, Final

from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["BufferedLargeObject"]

# Read-ahead is BLOCK from the start of an object, so that a small one is read whole. A jump is often followed by
# a few bytes only (zip directories, PDF cross references): from there it doubles while reading is sequential.
_AHEAD_AFTER_SEEK: Final = 8 * 1024


class BufferedLargeObject:
    """Reads through ``descriptor``, or, where there is none, one statement a block; writes go out at once."""

    def __init__(self, driver: "LargeObjectDriver", oid: int, descriptor: "LargeObject | None") -> None:
        self.descriptor = descriptor
        self.position: int = 0
        self._driver = driver
        self._oid = oid
        self._buffer = b""
        self._start = 0
        # Whether the buffer ends where the object ended when it was read.
        self._is_last = False
        self._ahead = BLOCK
        # Where the descriptor stands; None where that is unknown.
        self._descriptor_position: int | None = 0

    @property
    def buffered(self) -> int:
        """How many bytes can be taken without a query."""
        return self._start + len(self._buffer) - self.position if self._buffer else 0

    def take(self, size: int) -> bytes:
        """Return up to ``size`` buffered bytes."""
        start = self.position - self._start
        data = self._buffer[start : start + size] if size > 0 else b""
        self.position += len(data)
        return data

    def take_line(self, limit: int) -> bytes:
        """Return buffered bytes up to a line's end, at most ``limit`` where that is not negative."""
        start = self.position - self._start
        length = (self._buffer.find(b"\n", start) + 1 or len(self._buffer)) - start
        return self.take(length if limit < 0 else min(limit, length))

    def fill(self, wanted: int = 1) -> bool:
        """Replace the used-up buffer by the next block, of ``wanted`` bytes or more; False at the end."""
        if self._is_last and self.position == self._start + len(self._buffer):
            self.drop()  # said once; asked again, the object may have grown
            return False
        size = max(wanted, self._ahead)
        self._ahead = min(2 * size, BLOCK)
        data = self._fetch(size)
        self._buffer, self._start = data, self.position
        self._is_last = 0 < len(data) < size
        return bool(data)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        head = self.take(min(size, self.buffered))
        wanted = size - len(head)
        if not wanted:
            return head
        if wanted < BLOCK:
            return head + self.take(wanted) if self.fill(wanted) else head
        data = self._fetch(wanted)
        self.position += len(data)
        self.drop()
        return head + data if head else data

    def read_rest(self) -> bytes:
        """Return all up to the end, which is asked of the server."""
        parts = [self.take(self.buffered)]
        self.drop()
        if self.descriptor is None:
            while len(part := self._driver.get(self._oid, self.position, MAX_BLOCK)) == MAX_BLOCK:
                parts.append(part)
                self.position += MAX_BLOCK
            parts.append(part)
            self.position += len(part)
        else:
            self._place(self.descriptor)
            parts.extend(self.descriptor.chunks(BLOCK))
            self._placed(self.position + sum(map(len, parts[1:])))
        return b"".join(parts)

    def seek(self, position: int) -> None:
        """Move, without a query; the buffer is kept where it holds the new position."""
        if not self._start <= position <= self._start + len(self._buffer):
            self.drop()
            self._ahead = _AHEAD_AFTER_SEEK if position else BLOCK
        self.position = position

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

    def drop(self) -> None:
        """Forget what is buffered."""
        self._buffer = b""
        self._is_last = False

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
        self.position = self._descriptor_position = position
