"""A large object with a position and a read-ahead buffer: what a file does once its arguments are checked."""

import io
import os
from typing import TYPE_CHECKING

from pg_lo_storage.drivers import bulk
from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE
from pg_lo_storage.io.readahead import Ahead, ReadAhead

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["BufferedLargeObject"]


class BufferedLargeObject(ReadAhead):
    """Reads through ``descriptor``, or without one by a statement for each batch; writes go out at once."""

    def __init__(self, driver: "LargeObjectDriver", oid: int, descriptor: "LargeObject | None") -> None:
        self.descriptor = descriptor
        self._driver = driver
        self._oid = oid
        # The whole object, if the server is not to be asked for it again.
        self.content: bytes | None = None
        # The descriptor's position; None if it is unknown.
        self._descriptor_position: int | None = 0

    def fill(self, least: int = 1) -> bool:
        """Replace the used-up buffer by the next blocks, ``least`` bytes or more; return False at the end."""
        if self.at_known_end():
            return False
        self.drop()  # frees the memory before more is read
        ahead = self.wanted(least)
        return self.filled(self._fetch(ahead), ahead)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        parts: list[bytes] = []
        while size:
            if not self.buffered and size > MAX_BLOCK and not self.is_at_end:
                parts.append(self._read_through(size))
                break
            # If this read has bytes to return, the next one tells of the end.
            if not self.buffered and ((parts and self.is_at_end) or not self.fill(size)):
                break
            parts.append(self.take(size))
            size -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_rest(self) -> bytes:
        """Return all bytes up to the end; the server is asked unless the end was read already."""
        parts = self.take_all()
        # A descriptor is asked in any case: it may be stale.
        if self.descriptor is not None or not self.at_known_end():
            parts.append(self._read_through(MAX_SIZE - self.position))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def end(self) -> int:
        """Return the object's size, as the server has it now; the position stays."""
        if self.content is not None:
            return len(self.content)
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

    def _fetch(self, ahead: Ahead) -> list[bytes]:
        """Return the next blocks; the position stays."""
        if self.content is not None:
            part = self.content[self.position : self.position + ahead.block * ahead.number]
            return [part[start : start + ahead.block] for start in range(0, len(part), ahead.block)]
        if self.descriptor is None:
            return bulk.blocks_of(self._driver, self._oid, self.position, *ahead)
        self._place(self.descriptor)
        blocks = [self.descriptor.read(ahead.block)] if ahead.number == 1 else list(self.descriptor.chunks(*ahead))
        self._descriptor_position = self.position + sum(map(len, blocks))
        return blocks

    def _read_through(self, size: int) -> bytes:
        """Return ``size`` bytes without buffering, fewer only at the end."""
        self.drop()
        if self.content is not None:
            data = self.content[self.position : self.position + size]
            self.moved(self.position + len(data))
            return data
        content = io.BytesIO()  # whose getvalue() makes no copy
        if self.descriptor is None:
            self.moved(self.position + bulk.stream(self._driver, self._oid, self.position, size, content.write))
        else:
            self._place(self.descriptor)
            self._placed(self.position + bulk.stream_descriptor(self.descriptor, size, content.write))
        return content.getvalue()

    def _place(self, descriptor: "LargeObject") -> None:
        if self._descriptor_position != self.position:
            descriptor.seek(self.position)
        self._descriptor_position = None  # until the call that follows succeeds

    def _placed(self, position: int) -> None:
        self.moved(position)
        self._descriptor_position = position
